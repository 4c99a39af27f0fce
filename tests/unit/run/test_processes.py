"""A wrapper in processes of this machine: what ends one of them ends one call, and no more."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from wrapgen.errors import RunError
from wrapgen.run.hosts.forking import CAN_FORK
from wrapgen.run.hosts.processes import ProcessHost, Program
from wrapgen.run.scheduling.replies import LossKind, Lost

Hosts = Callable[..., ProcessHost]


def make_program(folder: Path, source: str) -> Program:
    """A program whose `apply` is given."""
    (folder / "src").mkdir()
    (folder / "src" / "W.py").write_text(source)
    (folder / "algorithmia.conf").write_text('{"algoname": "W"}')
    return Program(folder, Path(sys.executable))


@pytest.fixture
def hosts(tmp_path) -> Iterator[Hosts]:
    """Makes a host of a program's source."""
    with ExitStack() as stack:

        def make(source: str, concurrency: int = 1) -> ProcessHost:
            log = stack.enter_context(tempfile.TemporaryFile())
            host = ProcessHost(make_program(tmp_path, source), "acme/W/local", concurrency, log, tmp_path)
            stack.callback(host.close)
            return host

        yield make


needs_fork = pytest.mark.skipif(not CAN_FORK, reason="processes are not forked on this system")


def ended(process: int, by: int | None = None) -> None:
    """Waits for the end of a process, which is killed, or another one by which it ends."""
    watched = os.pidfd_open(process)
    os.kill(by or process, signal.SIGKILL)
    assert select.select([watched], [], [], 60)[0], "it lives on"
    os.close(watched)


def result(answer: bytes | Lost) -> object:
    """The result in an answer."""
    assert isinstance(answer, bytes), answer
    return json.loads(answer)["result"]


@pytest.mark.parametrize("concurrency", [1, 2], ids=["started", "forked"])
def test_a_process_that_ends_loses_its_call_alone(hosts, concurrency):
    """What it printed is in the reason, and the next call has a new process."""
    host = hosts(
        "import os\n"
        "def apply(value):\n"
        "    if value == 'die':\n"
        "        print('out of cheese', flush=True)\n"
        "        os._exit(3)\n"
        "    return os.getpid()\n",
        concurrency,
    )
    first = result(host.call(b'"live"', 60))
    lost = host.call(b'"die"', 60)
    assert isinstance(lost, Lost) and lost.fault is LossKind.ENDED
    assert lost.message == "the process exited with code 3: out of cheese"
    assert result(host.call(b'"live"', 60)) != first


def test_a_process_that_ended_between_calls_costs_none(hosts):
    """The next call has a new process, and knows nothing of the old one's end."""
    host = hosts("import os\ndef apply(value):\n    return os.getpid()\n")
    first = result(host.call(b"1", 60))
    ended(first)
    assert result(host.call(b"1", 60)) != first


def test_a_process_that_is_killed_says_by_what(hosts):
    """A signal has its name."""
    host = hosts("import os, signal\ndef apply(value):\n    os.kill(os.getpid(), signal.SIGKILL)\n")
    lost = host.call(b"1", 60)
    assert isinstance(lost, Lost) and "SIGKILL" in lost.message


def test_a_call_that_takes_too_long_is_ended_with_its_process(hosts):
    """Its late answer can't be taken for the next one's."""
    host = hosts(
        "import threading\n"
        "def apply(value):\n"
        "    if value == 'hang':\n"
        "        threading.Event().wait()\n"
        "    return value\n"
    )
    assert result(host.call(b'"go"', 60)) == "go"
    lost = host.call(b'"hang"', 0.2)
    assert isinstance(lost, Lost) and lost.fault is LossKind.TIMEOUT
    assert result(host.call(b'"on"', 60)) == "on"


def test_what_is_printed_never_mixes_with_answers(hosts):
    """Neither by print nor past Python; nor is what is read from standard input a request."""
    host = hosts(
        "import os, sys\n"
        'os.write(1, b\'{"result":"loaded"}\\n\')\n'
        "def apply(value):\n"
        '    print(\'{"result":"printed"}\', flush=True)\n'
        '    os.write(1, b\'{"result":"written"}\\n\')\n'
        "    return os.read(0, 10).decode() + value\n"
    )
    assert [result(host.call(b'"right"', 60)) for _ in range(3)] == ["right"] * 3


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import nothing_of_that_name\ndef apply(value):\n    return 1\n", "nothing_of_that_name"),
        ("def load():\n    raise OSError('no model')\ndef apply(value, state):\n    return 1\n", "no model"),
        ("import os\nos._exit(7)\n", "exited with code 7"),
        ("x = 1\n", "defines no function apply"),
    ],
    ids=["import", "load", "exit", "no-apply"],
)
def test_what_cannot_be_loaded_is_one_error(hosts, source, words):
    """Before a run it says why, and is not tried again."""
    with pytest.raises(RunError, match="can't be loaded") as caught:
        hosts(source).describe()
    assert words in str(caught.value)


def test_processes_are_as_many_as_calls_up_to_the_limit(hosts):
    """Two calls at once are two processes; one after the other they share one."""
    host = hosts("import os\ndef apply(value):\n    return os.getpid()\n", 2)
    assert len({result(host.call(b"1", 60)) for _ in range(4)}) == 1


FAMILY = """
import os, sys
LOADED = "Algorithmia" in sys.modules
def apply(value):
    return [os.getpid(), os.getppid(), LOADED, sys.argv[1:]]
"""


@needs_fork
def test_a_process_that_ended_is_replaced_by_one_of_the_same_parent(hosts):
    """All are forked from one process, which has imported nothing that the wrapper does not use."""
    host = hosts(FAMILY, 2)
    first, parent, loaded, words = result(host.call(b"1", 60))
    assert (loaded, words) == (False, []) and parent != os.getpid()
    ended(first)
    second, again, *_ = result(host.call(b"1", 60))
    assert second != first and again == parent


@needs_fork
def test_processes_are_started_singly_where_their_parent_was_ended(hosts):
    """Its end costs the calls that are open and no more."""
    host = hosts(FAMILY, 2)
    first, parent, *_ = result(host.call(b"1", 60))
    ended(first, by=parent)
    second, again, *_ = result(host.call(b"1", 60))
    assert second != first and again == os.getpid()


@needs_fork
@pytest.mark.parametrize(
    ("files", "loaded"),
    [
        ({"a.py": "from Algorithmia import ADK\n"}, True),
        ({"a.py": "import json\n"}, False),
        ({"a.py": "import Algorithmia\n", "requests.py": ""}, False),
        ({"a.py": "import Algorithmia\n", "urllib3/__init__.py": ""}, False),
    ],
    ids=["vendor", "none", "own-module", "own-package"],
)
def test_what_an_inline_target_imports_is_there_unless_it_brings_its_own(hosts, tmp_path, files, loaded):
    """The author's names win over those of packages, as they do where nothing is imported before."""
    for name, source in files.items():
        (tmp_path / "inline" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "inline" / name).write_text(source)
    assert result(hosts(FAMILY, 2).call(b"1", 60))[2] is loaded


def test_a_body_of_several_lines_is_one_request(hosts):
    """JSON may have line breaks between its values."""
    host = hosts("def apply(value):\n    return value\n")
    assert result(host.call(b"[1,\n2]", 60)) == [1, 2]


RUNNER = """
import sys, tempfile, pathlib
from wrapgen.run.hosts.processes import ProcessHost, Program
folder = pathlib.Path(sys.argv[1])
program = Program(folder, pathlib.Path(sys.executable))
host = ProcessHost(program, "acme/W/local", int(sys.argv[2]), tempfile.TemporaryFile(), folder)
print(host.call(b'"pid"', 60).decode(), flush=True)
host.call(b'"hang"', 600)
"""


@pytest.mark.parametrize("concurrency", ["1", "2"], ids=["started", "forked"])
def test_processes_end_with_a_runner_that_is_killed(tmp_path, concurrency):
    """Even in the middle of a call, nothing is left behind."""
    program = make_program(
        tmp_path,
        "import os, threading\n"
        "def apply(value):\n"
        "    if value == 'hang':\n"
        "        threading.Event().wait()\n"
        "    return os.getpid()\n",
    )
    with subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(program.folder), concurrency], stdout=subprocess.PIPE
    ) as runner:
        assert runner.stdout is not None
        process = os.pidfd_open(json.loads(runner.stdout.readline())["result"])
        runner.send_signal(signal.SIGKILL)
        assert select.select([process], [], [], 60)[0], "it lives on"
        os.close(process)


def test_a_process_that_was_started_early_takes_the_first_call(hosts):
    """One that loads while the caller does something else answers; none is started besides."""
    host = hosts("import os\ndef apply(value):\n    return os.getpid()\n", 2)
    host.prepare()
    answers = {result(host.call(b"1", 60)), result(host.call(b"2", 60))}
    assert len(answers) == 1
    assert len(host._open) == 1


def test_a_process_that_was_started_early_and_not_needed_ends_with_its_host(hosts):
    """A run that ends before its first call leaves no process."""
    host = hosts("import os\ndef apply(value):\n    return os.getpid()\n", 2)
    host.prepare()
    process = host._early[0].result()
    host.close()
    assert not process.is_alive
