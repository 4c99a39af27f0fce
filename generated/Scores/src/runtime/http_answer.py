"""What an endpoint's HTTP answer means where it is no result: by its status and the spec's own errors."""

from __future__ import annotations

import json
import re
from typing import Any

from .connection import Response
from .protocol import ATTEMPT, STOP, THROTTLED, Failure, dumps
from .statuses import OTHER_STATUS, STATUSES
from .waits import asked_wait

BUSY_SENDS = 3  # sends in which one item may get 503 while others succeed
REFUSALS = (403, 404, 405, 410, 501)  # of one item, unless two different ones get it and none succeeds
STATUS_OF = {  # where an endpoint's status means something else than the platform's
    403: ("AuthenticationError", ATTEMPT, False),
    404: ("EntityNotFoundError", ATTEMPT, False),
    409: ("ServerError", ATTEMPT, True),
    425: ("TooManyRequests", THROTTLED, True),
    529: ("ServerError", THROTTLED, True),
}
MEANINGS = {  # of the spec's own errors
    "retryable": ("ServerError", ATTEMPT, True),
    "busy": ("TooManyRequests", THROTTLED, True),
    "final": ("AlgorithmError", ATTEMPT, False),
    "stop": ("AlgorithmError", STOP, True),
}


class EndpointFailure(Failure):
    """What an endpoint answered in place of a result."""

    refuses = False  # whether it is the item's own error only if other items fare better
    final_sends = 0  # the send from which on it is the item's own error, if other items fare better


def failure_of_answer(response: Response, own: Any) -> EndpointFailure:
    """What an answer that is no result means. ``own`` is what the spec says of it, if anything."""
    means, named, hidden, message = own or ("", "", None, "")
    status = int(str(hidden)) if re.fullmatch("[45][0-9][0-9]", str(hidden)) else response.status
    meaning = STATUS_OF.get(status) or STATUSES.get(status)
    if not meaning:
        meaning = ("InputError", ATTEMPT, False) if 300 <= status < 500 else OTHER_STATUS
    means = means if status == response.status else ""  # a hidden status decides as if it were the answer's
    meaning = MEANINGS.get(means) or meaning
    said = said_in(response) if message in (None, "") else str(message)
    if 300 <= status < 400:
        said = (
            f"it redirects to {response.headers.get('Location', 'nowhere')}, and redirects are not followed"
        )
    kind, effect, retryable = meaning
    failure = EndpointFailure(named or kind, f"status {status}: {said}"[:1000], retryable, effect)
    failure.refuses = not means and (status in REFUSALS or 300 <= status < 400)
    failure.splits_last = means == "retryable" or (not means and status == 500)
    failure.final_sends = BUSY_SENDS if status == 503 and failure.effect == THROTTLED else 0
    failure.retry_after = asked_wait(response.headers) if failure.effect == THROTTLED else None
    return failure


def said_in(response: Response) -> str:
    """The message in an error's body, as most servers write one; else how the body begins."""
    try:
        found = json.loads(response.body.decode("utf-8"))
    except (ValueError, RecursionError):
        found = None
    for key in ("error", "message", "Message", "detail"):
        if isinstance(found, dict) and found.get(key):
            found = found[key]
    if isinstance(found, (str, list, dict)) and found:
        return found if isinstance(found, str) else dumps(found)[:500]
    return response.body.strip()[:200].decode("utf-8", "replace") or "no message"
