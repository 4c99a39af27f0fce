"""Calls of a wrapper from outside: the item protocol, retries, and which messages or rows go together."""
