"""The parts of the bench, one file each: what is run, and what is noted of it."""
