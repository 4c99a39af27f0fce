"""What a run reads: sources and their formats, and the items made of their rows."""
