"""The report of a run: one page and one JSON object, derived from its ledger."""
