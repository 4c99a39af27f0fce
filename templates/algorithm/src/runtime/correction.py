"""Asking a model again, with its last answer and what was wrong with that."""

from __future__ import annotations

from typing import Any

ASKED = "This answer does not fit: {wrong}. Answer again, with JSON that fits the schema and nothing else."


def ask_again(content: Any, said: Any, wrong: str) -> Any:
    """The request for a chat, two messages longer."""
    told = [
        {"role": "assistant", "content": said if isinstance(said, str) else ""},
        {"role": "user", "content": ASKED.format(wrong=wrong)},
    ]
    return {**content, "messages": [*content["messages"], *told]}
