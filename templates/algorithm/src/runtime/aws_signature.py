"""Requests signed for AWS by botocore, with the credentials that it finds in the environment."""

from __future__ import annotations

import os
import urllib.parse
from typing import Any

from .protocol import STOP
from .statuses import failure_of

OVERRIDE = "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"  # botocore's own variable for another address


class Credentials:
    """Signs each request; ``refresh`` lets botocore find credentials anew."""

    refused = (401, 403)  # AWS says 403 of credentials that have expired

    def __init__(self, target: dict[str, Any]) -> None:
        settings = target["auth"]
        self._service = settings["aws"]
        self._url = ""
        self._region = settings.get("region") or os.environ.get(
            "AWS_REGION", os.environ.get("AWS_DEFAULT_REGION")
        )
        self._session: Any = None

    def address(self, url: str) -> str:
        """Where requests go: another address than the service's if the environment names one."""
        override = urllib.parse.urlsplit(os.environ.get(OVERRIDE, ""))
        self._url = f"{override.scheme}://{override.netloc}" if override.netloc else url[: url.index("/", 8)]
        return self._url + urllib.parse.urlsplit(url).path

    def ready(self, _seconds: float) -> None:
        """Have credentials and a region. Raises ``Failure``."""
        if not self._region:
            raise _missing("no region of AWS is known: write target.auth.region, or set AWS_REGION")
        self._find()

    def headers(self, path: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
        """The headers of a request with its signature among them, once credentials are ``ready``."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        found = self._find()
        request = AWSRequest("POST", self._url + path, data=body, headers=dict(headers))
        SigV4Auth(found, self._service, self._region).add_auth(request)
        return dict(request.headers.items())

    def refresh(self, refused: str, _seconds: float) -> bool:
        """Whether there are credentials other than those of the request that was ``refused``."""
        self._session = None
        return self._find().access_key not in refused

    def hidden(self, text: str) -> str:
        """A text of the server's without a session's token; a signature is good for one request only."""
        found = self._session and self._session.get_credentials()
        token = found.get_frozen_credentials().token if found else None
        return text.replace(token, "***") if token else text

    def _find(self) -> Any:
        try:
            import botocore.session
        except ImportError:
            raise _missing("botocore is not installed") from None
        self._session = self._session or botocore.session.get_session()
        found = self._session.get_credentials()
        if found is None:
            raise _missing("botocore finds no credentials for AWS")
        return found.get_frozen_credentials()


def _missing(said: str) -> Any:
    return failure_of("AuthenticationError", said, STOP, True)
