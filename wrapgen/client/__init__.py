"""Calls to any platform that speaks the Algorithmia API: thin, typed errors, timeouts, one shared pool.

Nothing here decides anything: no retries of calls, no waiting, no printing.
"""

from wrapgen.client.algorithms import AlgorithmCalls, HostedBuild, HostedEnvironment, HostedVersion
from wrapgen.client.client import Client, connect, decode
from wrapgen.client.connection import Connection
from wrapgen.client.data import DataCalls, FileEntry, is_data_url
from wrapgen.references import Reference

__all__ = [
    "AlgorithmCalls",
    "Client",
    "Connection",
    "DataCalls",
    "FileEntry",
    "HostedBuild",
    "HostedEnvironment",
    "HostedVersion",
    "Reference",
    "connect",
    "decode",
    "is_data_url",
]
