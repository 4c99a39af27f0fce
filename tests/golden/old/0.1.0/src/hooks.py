"""Yours: what happens to items, results and errors on their way through the wrapper.

This file was written once and is never touched again. Define any of these functions; what isn't here costs
nothing. An exception in one fails the item, with the exception's ``error_type`` if it has one.

    def before(item):
        return item  # what the target gets, and the record holds, instead of the item

    def after(item, result):  # the item is from ``before``
        return result  # what the caller gets, and the record holds, instead of the result

    def error(item, error_type, message, retryable):  # ``retryable``: whether sending it again can help
        return error_type, message, retryable  # how the failure is reported
"""
