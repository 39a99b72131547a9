"""The door's own page: loopback only, no network, and true about the agent behind it."""
