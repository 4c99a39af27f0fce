"""What a run writes: its outcomes as files."""
