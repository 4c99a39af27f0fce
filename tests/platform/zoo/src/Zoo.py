"""An algorithm that does whatever its input asks: the tests' way to see every kind of behaviour."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice

import Algorithmia
import requests
from Algorithmia import ADK

client = Algorithmia.client()


class Refused(Exception):
    """An error with a type of its own."""

    error_type = "InputError"


def exit_now(request):
    print("last words", flush=True)
    os._exit(request["code"])


def half(request):
    with open("/tmp/algoout", "w") as pipe:
        pipe.write('{"result": "ha')
        pipe.flush()
    os._exit(0)


def stall(request):
    """Write half a response and never the rest."""
    with open("/tmp/algoout", "w") as pipe:
        pipe.write('{"result": "ha')
        pipe.flush()
        while True:
            time.sleep(1)


def hang(request):
    """Start a child that left the process group, say its id, and never come back."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    with open(request["note"], "w") as note:
        note.write("%d %d" % (os.getpid(), child.pid))
    while True:
        time.sleep(1)


def refuse(request):
    raise Refused("not this one")


def fail(request):
    raise ValueError("broken inside")


def memory(request):
    return len(bytearray(request["bytes"]))


def flood(request):
    line = "x" * 1023
    for _ in range(request["kilobytes"]):
        print(line)
    return "done"


def nested(request):
    if request["depth"] == 0:
        return "bottom"
    below = {"op": "nested", "depth": request["depth"] - 1}
    return client.algo(request["algorithm"]).pipe(dict(below, algorithm=request["algorithm"])).result


def keep(request):
    """Write a data file, once a gate is open if one is given."""
    if "gate" in request:
        wait({"path": request["gate"]})
    client.file(request["file"]).put("x")
    return client.file(request["file"]).getString()


def leave(request):
    """Start a call below this one that nobody waits for; its request id."""
    url = "%s/v1/algo/%s?output=void" % (os.environ["ALGORITHMIA_API"], request["algorithm"])
    headers = {"Authorization": "Simple " + os.environ["ALGORITHMIA_API_KEY"]}
    return requests.post(url, json=request["value"], headers=headers).json()["request_id"]


def many(request):
    """Open calls that wait at a gate; open the gate when so many have ended; the status of each."""
    url = "%s/v1/algo/%s" % (os.environ["ALGORITHMIA_API"], request["algorithm"])
    headers = {"Authorization": "Simple " + os.environ["ALGORITHMIA_API_KEY"]}
    body = {"op": "wait", "path": request["gate"]}

    def one(_):
        return requests.post(url, json=body, headers=headers).status_code

    with ThreadPoolExecutor(request["count"]) as threads:
        calls = [threads.submit(one, number) for number in range(request["count"])]
        list(islice(as_completed(calls), request["refused"]))
        open(request["gate"], "w").close()
        return [call.result() for call in calls]


def wait(request):
    """Wait until a file is there; marks with files of its own that it began, and that it ended.

    Meanwhile the key that it got is good: one more file has it.
    """
    if "key" in request:
        with open(request["key"] + ".part", "w") as file:
            file.write(os.environ["ALGORITHMIA_API_KEY"])
        os.rename(request["key"] + ".part", request["key"])
    if "mark" in request:
        open(request["mark"] + ".begun", "w").close()
    while not os.path.exists(request["path"]):
        time.sleep(0.01)
    if "mark" in request:
        open(request["mark"] + ".ended", "w").close()
    return os.getpid()


OPERATIONS = {
    "echo": lambda request: request.get("value"),
    "exit": exit_now,
    "fail": fail,
    "flood": flood,
    "fork": lambda request: "child" if os.fork() == 0 else "parent",
    "half": half,
    "hang": hang,
    "keep": keep,
    "leave": leave,
    "many": many,
    "memory": memory,
    "nan": lambda request: float("nan"),
    "nested": nested,
    "pid": lambda request: os.getpid(),
    "pipe": lambda request: client.algo(request["algorithm"]).pipe(request["value"]).result,
    "print": lambda request: print(request["text"]),
    "refuse": refuse,
    "set": lambda request: {1, 2},
    "stall": stall,
    "sleep": lambda request: time.sleep(request["seconds"]) or os.getpid(),
    "text": lambda request: "x" * request["size"],
    "wait": wait,
    "variables": lambda request: dict(os.environ),
    "whoami": lambda request: client.username(),
    "where": lambda request: [os.getcwd(), os.environ["TMPDIR"]],
    "write": lambda request: open(request["path"], "w").write("x") and os.path.abspath(request["path"]),
}


def apply(input):
    """Greet a string, reverse bytes, and do what an object asks."""
    if isinstance(input, str):
        return "hello " + input
    if isinstance(input, bytes):
        return input[::-1]
    if isinstance(input, dict) and "op" in input:
        return OPERATIONS[input["op"]](input)
    return input


algorithm = ADK(apply)
algorithm.init("nobody")
