"""One whole input set through a wrapper: chunks, calls, retries, ledger, output, connectors."""
