"""What a record must not say: values at given paths, blanked in items and results."""

from typing import Any  # noqa: F401 - for the type comments

from . import records

REDACTED = "[redacted]"


class Recorder(records.Recorder):
    """Records like any other, but blanks what is at the paths that the settings name."""

    def payload(self, value):
        # type: (Any) -> Any
        """A copy of an item or a result without what must not be recorded."""
        return redact(value, self.settings["redact"])


def redact(value, paths):
    # type: (Any, list) -> Any
    """A copy of the value in which whatever is at one of the paths is blanked.

    A path is a list of keys and places; None stands for every element. What is not there is passed over.
    """
    for path in paths:
        value = _blank(value, path)
    return value


def _blank(value, path):
    if not path:
        return REDACTED
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        steps = list(value) if step is None else [step] if step in value else []
        changed = dict(value)
        changed.update((key, _blank(value[key], rest)) for key in steps)
        return changed
    if isinstance(value, list) and (step is None or isinstance(step, int)):
        return [_blank(part, rest) if step in (None, place) else part for place, part in enumerate(value)]
    return value
