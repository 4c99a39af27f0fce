"""Where a wrapper executes: one protocol, and what implements it."""
