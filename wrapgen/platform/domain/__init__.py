"""What the platform hosts and who may do what: no HTTP status, no SQL, no processes."""
