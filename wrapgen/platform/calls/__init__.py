"""Calls of algorithms: which build, on whose behalf, within which limits, and what came of each.

Nothing here knows HTTP.
"""
