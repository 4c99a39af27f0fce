"""The start file of processes that execute algorithms: workers of the platform, and a run's own processes."""
