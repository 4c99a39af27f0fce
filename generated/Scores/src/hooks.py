"""Yours: what happens to items, results and errors on their way through the wrapper.

This file was written once and is never touched again. Define any of these functions; what isn't here costs
nothing. An exception in one fails the item, with the exception's ``error_type`` if it has one. Hooks run in
several threads at once. One with a last parameter ``context`` is told the item's run, id, index and try.

    def load() -> None:  # runs once, before the first call
        ...

    def before(item: Any) -> Any:
        return item  # what the target gets, and the record holds, instead of the item

    def after(item: Any, result: Any, context: dict[str, Any]) -> Any:  # the item is from ``before``
        return result  # what the caller gets, and the record holds, instead of the result

    def error(item: Any, error_type: str, message: str, retryable: bool) -> tuple[str, str, bool]:
        return error_type, message, retryable  # how the failure is reported; retryable: send it again

    EXAMPLES = [(item, result)]  # what the tests of this wrapper try them with: items, the target's results
"""
