"""The start file of a process: makes one algorithm answer requests, in the algorithm's own interpreter.

Plain Python 3.6+ with the standard library only: it runs in the virtual environment of a build, where wrapgen
is not installed. The vendor's packages stay as they are on disk; what they lack is supplied from outside:

- The ADK and the older handler write each response to the named pipe /tmp/algoout, one path for the whole
  machine (upstream `adk/ADK.py`, `Algorithmia/handler.py`). Here that path opens this worker's own channel.
- `adk/io.py` calls `traceback.format_exception(etype=...)`, an argument that Python 3.10 removed.
- `Algorithmia/handler.py` calls `inspect.getargspec`, which Python 3.11 removed.
- Responses are compact JSON, and NaN is an error: other clients compare bodies literally, and NaN isn't JSON.

Standard input is a socket to the server, or to the run whose process this is: requests come in as lines,
responses go out as lines. A run's process is plain: it needs none of the vendor's packages.
"""

import array
import base64
import builtins
import contextlib
import importlib
import inspect
import io
import json
import os
import signal
import socket
import sys
import traceback
from types import ModuleType
from typing import Any, Callable, Dict, List

RESPONSE_PATH = "/tmp/algoout"  # noqa: S108 (the vendor's name; nothing is made there)
READY = "PIPE_INIT_COMPLETE"
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


class Channel:
    """The worker's end of the socket: lines in, lines out; forked children can't speak on it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.owner = os.getpid()
        self.load_error = None  # type: Any

    def send(self, text: str) -> None:
        """Write one response; output printed before it is flushed first, so that it belongs to this call."""
        if os.getpid() != self.owner:  # a forked child that ran on into the serving loop
            os._exit(1)
        flush(sys.stdout)
        flush(sys.stderr)
        rest = memoryview(text.encode("utf-8", "backslashreplace"))
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]

    def send_loaded(self) -> None:
        """Answer the server's question how loading ended."""
        self.send((failure(self.load_error, "LoadingError") if self.load_error else LOADED) + "\n")


LOAD = b'{"content_type":"load"'
LOADED = '{"result":null,"metadata":{"content_type":"json"}}'


def flush(stream: Any) -> None:
    """Flush, unless the algorithm closed the stream or put something else in its place."""
    with contextlib.suppress(AttributeError, ValueError, OSError):
        stream.flush()


class Response:
    """What opening the response pipe gives: collects what is written, sends it when closed."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.parts = []  # type: list[str]

    def __enter__(self) -> "Response":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def write(self, text: str) -> int:
        self.parts.append(text)
        return len(text)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        text = "".join(self.parts)
        self.parts = []
        if text:
            self.channel.send(text if compact(text) else recode(text))


def compact(text: str) -> bool:
    """Whether the text came from our encoder: the vendor's own puts a space after the first key."""
    return text.startswith(('{"result":', '{"error":')) and not text.startswith(('{"result": ', '{"error": '))


def recode(text: str) -> str:
    """A response of code that encodes JSON itself, compacted; what isn't JSON becomes an error response."""
    try:
        return ENCODE(json.loads(text)) + "\n"
    except ValueError as error:
        return failure(error, "ParsingError") + "\n"


class Requests(io.TextIOWrapper):
    """Standard input as the serving loops read it: one request per line, in large reads.

    The server's question how loading ended is answered here: a process that reads on has loaded.
    """

    def __init__(self, lines: io.BufferedReader, channel: Channel) -> None:
        super().__init__(lines, encoding="utf-8")
        self.lines = lines
        self.channel = channel
        self.asked = False

    def __next__(self) -> str:  # type: ignore[override]
        self.asked = True
        line = self.lines.readline()
        while line.startswith(LOAD):
            self.channel.send_loaded()
            line = self.lines.readline()
        if not line:
            raise StopIteration
        return line.decode("utf-8")

    def readline(self, *_: Any) -> str:  # type: ignore[override]
        return next(self, "")


class Json:
    """The `json` module as the vendor's serving code sees it: compact, strict, and no crash on odd input."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def __getattr__(self, name: str) -> Any:
        return getattr(json, name)

    def dumps(self, value: Any, **options: Any) -> str:
        return json.dumps(value, **options) if options else ENCODE(value)

    def loads(self, line: str, **options: Any) -> Any:
        """The next request; one that Python can't read is answered here: upstream would end the worker."""
        while True:
            try:
                return json.loads(line, **options)
            except (ValueError, RecursionError) as error:
                self.channel.send(failure(error, "ParsingError") + "\n")
            line = sys.stdin.readline()
            if not line:
                raise SystemExit(0)


ENCODE = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def failure(error: BaseException, kind: str) -> str:
    """One error response as JSON text."""
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    body = {"message": str(error), "stacktrace": " ".join(lines), "error_type": kind}
    return ENCODE({"error": body})


def redirect(channel: Channel) -> None:
    """Make /tmp/algoout mean this worker's channel, for `open` and `os.path.exists`."""
    real_open, real_exists = builtins.open, os.path.exists

    def open_channel(file: Any, *args: Any, **kwargs: Any) -> Any:
        return Response(channel) if file == RESPONSE_PATH else real_open(file, *args, **kwargs)

    def exists(path: Any) -> bool:
        return path == RESPONSE_PATH or real_exists(path)

    builtins.open = open_channel
    os.path.exists = exists


def supply() -> None:
    """Give back what later Pythons took away and the vendor's code still calls."""
    if sys.version_info >= (3, 10):
        real = traceback.format_exception

        def format_exception(*args: Any, **kwargs: Any) -> Any:
            if "etype" in kwargs:
                return real(kwargs.pop("etype"), kwargs.pop("value", None), kwargs.pop("tb", None), **kwargs)
            return real(*args, **kwargs)

        traceback.format_exception = format_exception
    if not hasattr(inspect, "getargspec"):
        setattr(inspect, "getargspec", lambda function: inspect.getfullargspec(function)[:4])


def hand_over_json(channel: Channel, adk: bool) -> None:
    """Let the vendor's serving code encode through `Json`; the algorithm's own json stays untouched."""
    if adk:
        try:
            importlib.import_module(
                "Algorithmia"
            )  # before adk: upstream binds Algorithmia.ADK by import order
            importlib.import_module("adk")
        except ImportError:
            return  # the algorithm's own import says it better, or it brings something else
    for name in ("adk.ADK", "adk.io"):
        if name in sys.modules:
            setattr(sys.modules[name], "json", Json(channel))
    watch_load(getattr(sys.modules.get("adk.ADK"), "ADK", None), channel)


def watch_load(adk: Any, channel: Channel) -> None:
    """Learn of an exception in the ADK's `load`, which it keeps for the first request."""
    real = getattr(adk, "load", None)
    if real is None:
        return

    def load(self: Any) -> Any:
        try:
            return real(self)
        finally:
            channel.load_error = getattr(self, "loading_exception", None)

    adk.load = load


def limit(ceilings: Dict[str, int]) -> None:
    """Apply the ceilings of memory and files, for good; they hold for children too."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, value in ceilings.items():
        number = getattr(resource, name, None)
        if number is not None:
            hard = resource.getrlimit(number)[1]
            most = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(number, (most, most))


def tie_to_server(server: int, adopt: bool = True) -> None:
    """End with the server, whatever ends it; `adopt` keeps orphaned grandchildren below this process."""
    if not sys.platform.startswith("linux"):
        return
    try:
        import ctypes
    except ImportError:  # a Python built without libffi: the closed socket ends this worker when it is idle
        return
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(PR_SET_CHILD_SUBREAPER, int(adopt))
    if server and os.getppid() != server:  # it ended before we could ask for the signal
        os._exit(1)


def give_way() -> None:
    """Wait for a free processor when there is work, as batches do: the server goes on with what it is at.

    Woken by the server's own write, a worker would else take its processor in the middle of it, and the other
    workers would wait for both (man 7 sched, SCHED_BATCH).
    """
    with contextlib.suppress(AttributeError, OSError):  # not on this system, or forbidden
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def take_streams() -> Channel:
    """Keep the socket for ourselves, give the algorithm an empty stdin and line-buffered output."""
    channel = Channel(os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.stdin = Requests(io.BufferedReader(io.FileIO(os.dup(channel.descriptor)), 1 << 18), channel)
    for name in ("stdout", "stderr"):
        raw = getattr(sys, name).buffer
        stream = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        getattr(sys, name).detach()
        setattr(sys, name, stream)
    return channel


def hand_over_listener(channel: Channel, address: List[Any]) -> None:
    """Listen in this process's own network and let the server answer there: it reaches nothing else."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind((address[0], address[1]))
    listener.listen(128)
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener.fileno()]))
    with socket.socket(fileno=os.dup(channel.descriptor)) as stream:
        stream.sendmsg([b"\n"], [rights])
    listener.close()


def serve_plain(module: ModuleType, channel: Channel, opened: Any = None) -> None:
    """Serve a module that defines `apply`, as the platform's own runner does, which calls nothing else.

    An `apply` that requires a second argument gets what `load` returned: it could not be called otherwise.
    For a run, what it returned is `opened`; a platform waits for the line that says that all is loaded.
    """
    loader, arguments = getattr(module, "load", None), ()  # type: Any, tuple[Any, ...]
    try:
        if callable(loader) and requires_two(module.apply):
            arguments = (opened(loader()) if opened else loader(),)
    except Exception as error:
        channel.load_error = error
    if opened is None:
        print(READY, flush=True)
    for line in sys.stdin:
        broken = channel.load_error
        if broken is None:
            channel.send(answer(module.apply, arguments, line) + "\n")
        else:
            channel.send(failure(broken, getattr(broken, "error_type", "LoadingError")) + "\n")


def requires_two(function: Callable[..., Any]) -> bool:
    """Whether a function can't be called with one argument, and can be with two."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of a builtin, which says nothing about itself
        return False
    return not binds(signature, 1) and binds(signature, 2)


def binds(signature: inspect.Signature, count: int) -> bool:
    """Whether as many positional arguments are right for a function."""
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def answer(function: Callable[..., Any], arguments: "tuple[Any, ...]", line: str) -> str:
    """Run `apply` on one request line; gives the response as JSON text."""
    try:
        request = json.loads(line)
        data = request["data"]
        if request["content_type"] == "binary":
            data = base64.b64decode(data)
        result = function(data, *arguments)
        if isinstance(result, (bytes, bytearray)):
            kind, result = "binary", base64.b64encode(result).decode("ascii")
        else:
            kind = "text" if isinstance(result, str) else "json"
        return ENCODE({"result": result, "metadata": {"content_type": kind}})
    except Exception as error:
        kind = getattr(error, "error_type", "AlgorithmError")
        return failure(error, kind if isinstance(kind, str) else "AlgorithmError")


def run() -> None:
    """Start the algorithm of the working directory: `src.<algoname>` of its algorithmia.conf.

    The first line of standard input has the settings: what stands around this process, a sandbox for one,
    must not be started with the algorithm's variables.
    """
    channel = take_streams()
    requests = sys.stdin  # type: Any
    settings = json.loads(requests.lines.readline())
    tie_to_server(settings["server"])
    give_way()
    limit(settings["ceilings"])
    if settings["listen"]:
        hand_over_listener(channel, settings["listen"])
    if settings["variables"] is not None:
        os.environ.clear()
        os.environ.update(settings["variables"])
    plain, opened = settings.get("plain", False), None
    here = os.path.dirname(os.path.abspath(__file__))
    if plain:
        sys.path.insert(0, here)
        opened = importlib.import_module("local_files").with_folder
    sys.path[:] = [os.getcwd()] + [path for path in sys.path if path != here]
    adk = not plain and os.path.exists(".adk")
    if not plain:
        redirect(channel)
    supply()
    with open("algorithmia.conf", encoding="utf-8-sig") as file:
        name = json.load(file)["algoname"]
    hand_over_json(channel, adk)
    module = importlib.import_module("src." + name)
    # With the marker file of the ADK a module serves while it is imported, or is a plain one all the same.
    if not requests.asked:
        if not callable(getattr(module, "apply", None)):
            raise AttributeError("src/%s.py defines no function apply, and serves no ADK" % name)
        serve_plain(module, channel, opened)


if __name__ == "__main__":
    run()
