"""What a run remembers: the ledger, the outcomes, and where both are stored."""
