"""Output tensors of the Open Inference Protocol: what each holds for every item of a request."""

from __future__ import annotations

from typing import Any

from .json_paths import elements


def tensors(answer: Any, count: int, name: str | None = None) -> list[Any]:
    """The output of that name, else the only one, else an object of all, for each of ``count`` items.

    Raises ``LookupError``, ``TypeError`` or ``ValueError`` if the answer holds none.
    """
    outputs = [one for one in elements(answer["outputs"]) if name in (None, one["name"])]
    if not outputs:
        raise LookupError(f"it has no output {name or ''}".strip())
    columns = [_rows(one["data"], one["shape"], count) for one in outputs]
    if len(columns) == 1:
        return columns[0]
    names = [one["name"] for one in outputs]
    return [dict(zip(names, row)) for row in zip(*columns)]


def _rows(data: Any, shape: Any, count: int) -> list[Any]:
    """A tensor along its first axis, which is that of the items; an axis of one at the end is dropped."""
    values = _flat(elements(data))
    inner = list(elements(shape))[1:]
    if shape and shape[0] != count:
        if count != 1:
            raise ValueError(f"its tensor has the shape {shape} for {count} items")
        inner = list(shape)  # of one item there may be no axis of items
    while inner and inner[-1] == 1:
        inner.pop()
    size = len(values) // count
    if size * count != len(values):
        raise ValueError(f"its tensor holds {len(values)} values for {count} items")
    return [_shaped(values[start : start + size], inner) for start in range(0, len(values), size or 1)]


def _flat(values: list[Any]) -> list[Any]:
    if not any(isinstance(one, list) for one in values):
        return values
    return _flat([inner for one in values for inner in (one if isinstance(one, list) else [one])])


def _shaped(values: list[Any], shape: list[int]) -> Any:
    if not shape:
        if len(values) != 1:
            raise ValueError("its tensor's shape does not fit its data")
        return values[0]
    if len(shape) == 1:
        return values
    size = len(values) // max(1, shape[0])
    return [_shaped(values[start : start + size], shape[1:]) for start in range(0, len(values), size or 1)]
