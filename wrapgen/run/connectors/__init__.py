"""Moving items in from other systems, and outcomes out to them. The seam is in `base`."""
