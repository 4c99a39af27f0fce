"""The peers' servers, as their documentation recommends: as many processes as there are processors."""

from __future__ import annotations

import json
import shutil
from contextlib import AbstractContextManager
from typing import Any

from bench import hosting, peers, tweets
from bench.hosting import Server
from bench.options import Bench
from bench.parts.programs import CASES

RAY = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}  # it writes a token to the home else
DOCUMENT = {"document": tweets.SAMPLE}


def fastapi(bench: Bench) -> AbstractContextManager[Server]:
    """Uvicorn with uvloop and httptools."""
    return _uvicorn(bench, "fastapi_app:app", ("/score", DOCUMENT))


def chat(bench: Bench) -> AbstractContextManager[Server]:
    """A server that answers as OpenAI's does, in the same way."""
    messages = [{"role": "user", "content": tweets.SAMPLE}]
    probe = ("/v1/chat/completions", {"model": "sentiment", "messages": messages})
    return _uvicorn(bench, "chat_app:app", probe)


def _uvicorn(bench: Bench, app: str, probe: tuple[str, Any]) -> AbstractContextManager[Server]:
    port = hosting.free_port()
    words = ["--workers", str(bench.cores), "--port", str(port), "--log-level", "warning"]
    command = [
        str(peers.python("fastapi")),
        "-m",
        "uvicorn",
        app,
        "--app-dir",
        str(CASES),
        *words,
    ]
    return hosting.served([*command, "--loop", "uvloop", "--http", "httptools"], probe, port=port)


def litserve(bench: Bench) -> AbstractContextManager[Server]:
    """One worker for each processor."""
    port = hosting.free_port()
    command = [str(peers.python("litserve")), str(CASES / "litserve_app.py"), str(port)]
    return hosting.served(
        command, ("/predict", {"documents": [tweets.SAMPLE]}), port=port, folder=_folder(bench)
    )


def bentoml(bench: Bench) -> AbstractContextManager[Server]:
    """One worker for each processor."""
    port = hosting.free_port()
    program = peers.python("bentoml").parent / "bentoml"
    words = ["serve", "bentoml_app:Sentiment", "--port", str(port), "--working-dir", str(CASES)]
    variables = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(bench.work / "bentoml")}
    return hosting.served(
        [str(program), *words], ("/score", DOCUMENT), port=port, folder=_folder(bench), variables=variables
    )


def mlserver(bench: Bench) -> AbstractContextManager[Server]:
    """As many parallel workers as there are processors."""
    port = hosting.free_port()
    folder = bench.work / f"mlserver-{port}"
    shutil.copytree(CASES / "mlserver", folder, dirs_exist_ok=True)
    settings = {
        "http_port": port,
        "grpc_port": hosting.free_port(),
        "metrics_port": hosting.free_port(),
        "parallel_workers": bench.cores,
        "debug": False,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    program = peers.python("mlserver").parent / "mlserver"
    probe = ("/v2/models/sentiment/infer", v2([tweets.SAMPLE]))
    return hosting.served([str(program), "start", "."], probe, port=port, folder=folder)


def kserve(bench: Bench) -> AbstractContextManager[Server]:
    """One worker for each processor; without its gRPC server, which nobody asks here."""
    port = hosting.free_port()
    command = [str(peers.python("kserve")), str(CASES / "kserve_app.py"), str(port)]
    probe = ("/v1/models/sentiment:predict", {"instances": [tweets.SAMPLE]})
    return hosting.served(command, probe, port=port, folder=_folder(bench))


def rayserve(bench: Bench) -> AbstractContextManager[Server]:
    """One replica for each processor."""
    port = hosting.free_port()
    command = [str(peers.python("ray")), str(CASES / "rayserve_app.py"), str(port)]
    return hosting.served(command, ("/", [tweets.SAMPLE]), port=port, folder=_folder(bench), variables=RAY)


def v2(texts: list[str]) -> dict[str, Any]:
    """A request of the protocol that MLServer speaks."""
    column = {"name": "document", "shape": [len(texts)], "datatype": "BYTES", "data": texts}
    return {"inputs": [{**column, "parameters": {"content_type": "str"}}]}


def _folder(bench: Bench) -> Any:
    folder = bench.work / "servers"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
