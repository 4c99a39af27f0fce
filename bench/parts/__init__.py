"""The five parts of the issue, one file each: what is run, and what is noted of it."""
