"""The real programs under kill -9, bad disks, bad networks and bad servers: `make crash` and `make faults`."""
