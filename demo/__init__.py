"""A minute at a simulated door: the real agent against the real central, on this machine alone."""
