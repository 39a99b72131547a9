"""What the technician runs: joining a site, and later checking, replacing and leaving."""
