"""Wrapgen measured against everything that a user would pick instead: `make bench`, or `python -m bench`."""
