"""Builds: a pushed commit becomes a source folder and a virtual environment that workers can run."""
