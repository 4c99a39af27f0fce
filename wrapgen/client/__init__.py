"""Calls to any platform that speaks the Algorithmia API: thin, typed errors, timeouts, one shared pool.

Nothing here decides anything: no retries of calls, no waiting, no printing.
"""

from wrapgen.client.algorithms import Algorithms, Build, Environment, Version
from wrapgen.client.calls import Client, connect, decode
from wrapgen.client.connection import Connection
from wrapgen.client.data import Data, Entry, is_data_url
from wrapgen.references import Reference

__all__ = [
    "Algorithms",
    "Build",
    "Client",
    "Connection",
    "Data",
    "Entry",
    "Environment",
    "Reference",
    "Version",
    "connect",
    "decode",
    "is_data_url",
]
