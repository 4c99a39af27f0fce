"""The whole system under one seed: the world that is passed in, what is made of it, and its judge."""
