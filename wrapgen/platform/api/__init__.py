"""HTTP in front of the platform: translates requests into its services' words and errors into statuses.

Decides nothing: what may be done, and what it means, is the domain's.
"""
