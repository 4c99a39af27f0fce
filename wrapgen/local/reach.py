"""Whether anything listens where an endpoint should be, found out while its first answer is waited for."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

GAP = 2.0
"""Seconds between two looks; two of them in vain are a finding."""


_AWS_OVERRIDE = "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"
"""botocore's variable for another address, at which the wrapper calls SageMaker then."""


@contextmanager
def watching(url: str, tell: Callable[[str], None]) -> Iterator[None]:
    """Looks now and then while the block runs, until something listens; calls `tell` once if nothing does.

    Args:
        url: of the endpoint.
        tell: takes what is wrong, in another thread.
    """
    ended = threading.Event()

    def watch() -> None:
        for is_last in (False, True):
            reason = "" if ended.wait(GAP) else why_unreachable(url)
            if not reason:
                return
            if is_last and not ended.is_set():
                tell(f"{{0.scheme}}://{{0.netloc}} can't be reached: {reason}".format(urlsplit(url)))

    threading.Thread(target=watch, name="wrapgen-reach", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def why_unreachable(url: str) -> str:
    """Why no connection can be made; empty if one can, or if that is not certain.

    A proxy answers for itself, and a server that takes its time may be at work on the call.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    proxies = getproxies()
    if host.startswith("runtime.sagemaker.") and os.environ.get(_AWS_OVERRIDE):
        return ""
    if (parts.scheme in proxies or "all" in proxies) and not proxy_bypass(host):
        return ""
    try:
        socket.create_connection((host, port), GAP).close()
    except TimeoutError:
        return ""
    except OSError as error:
        return error.strerror or str(error)
    return ""
