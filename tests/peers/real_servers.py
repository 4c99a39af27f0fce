"""Real model servers, as their documentation starts them, around the one model of `apps/scoring.py`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import peers
from bench.hosting import Server, free_port, served

APPS = Path(__file__).resolve().parent / "apps"
MASTER_KEY = "sk-peers"
TEXT = {"text": "fine"}
V2 = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["fine"]}]}
PROBES: dict[str, tuple[str, Any]] = {
    "fastapi": ("/predict", {"texts": ["fine"]}),
    "bentoml": ("/one", TEXT),
    "kserve": ("/v1/models/sentiment:predict", {"instances": ["fine"]}),
    "mlserver": ("/v2/models/sentiment/infer", V2),
    "mlflow": ("/invocations", {"dataframe_records": [TEXT]}),
    "litserve": ("/v1/embeddings", {"model": "lengths", "input": ["fine"]}),
}
"""What each is asked until it answers."""


def missing(name: str) -> str:
    """Why a server can't be started here; empty where it can."""
    found = shutil.which("nginx", path="/usr/sbin:/usr/bin") if name == "nginx" else peers.installed(name)
    return "" if found else f"no {name} here: make peers installs it"


@contextmanager
def server(name: str, folder: Path, variables: Mapping[str, str] | None = None) -> Iterator[Server]:
    """One of PROBES or `litellm` while the block runs.

    Args:
        name: of the server.
        folder: an empty one, for its files and `server.log`.
        variables: environment variables on top of ours, for the model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    python, port = peers.installed(name), free_port()
    assert python is not None
    command, probe = _command(name, python, port, folder), PROBES.get(name, ("/v1/chat/completions", {}))
    told = {
        "PYTHONPATH": str(APPS),
        "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(folder / "bentoml"),
        "HOME": str(folder),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        **(variables or {}),
    }
    with served(command, probe, port=port, folder=folder, variables=told, accepted=name == "litellm") as one:
        yield one


def _command(name: str, python: Path, port: int, folder: Path) -> list[str]:
    program, address = python.parent / name, ["--port", str(port)]
    if name == "fastapi":
        return [str(python), "-m", "uvicorn", "fastapi_app:app", *address, "--log-level", "warning"]
    if name == "bentoml":
        return [str(program), "serve", "bentoml_app:Sentiment", *address, "--working-dir", str(APPS)]
    if name in ("kserve", "litserve"):
        return [str(python), str(APPS / f"{name}_app.py"), str(port)]
    if name == "litellm":
        return [str(program), "--config", str(APPS / "litellm.yaml"), "--host", "127.0.0.1", *address]
    if name == "mlflow":
        model = folder / "model"
        subprocess.run(
            [str(python), str(APPS / "mlflow_model.py"), str(model)],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(APPS), "HOME": str(folder)},
        )
        return [str(program), "models", "serve", "-m", str(model), "--env-manager", "local", *address]
    shutil.copytree(APPS / "mlserver", folder, dirs_exist_ok=True)
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    (folder / "settings.json").write_text(json.dumps({**ports, "parallel_workers": 0, "debug": False}))
    return [str(program), "start", "."]


@contextmanager
def nginx(folder: Path, behind: Server, extra: str = "", more: str = "") -> Iterator[Server]:
    """nginx in front of another server while the block runs.

    Args:
        folder: an empty one, for its files.
        behind: what it passes requests to.
        extra: lines of its configuration, within `server`.
        more: lines before that, within `http`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    location = f"location / {{ proxy_pass {behind.address}; proxy_read_timeout 2s; }}"
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log {folder}/access.log; {temporary} {more}\n"
        f"server {{ listen 127.0.0.1:{port}; {extra}\n{location} }} }}\n"
    )
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    assert program is not None
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with served(command, ("/", None), port=port, folder=folder, accepted=True) as one:
        yield one
