"""When what is sent: one scheduler for every engine, and the numbers that bound it. Pure."""
