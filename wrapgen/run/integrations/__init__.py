"""Engines that drive a wrapper without a run: SQS workers, Lambda functions, Spark jobs."""
