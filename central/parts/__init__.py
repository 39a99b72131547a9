"""Cards at doors whose readers drop bits: how each card looks there, and which two would look alike."""
