"""What devices are told of a site's directory, version by version: its lines, their changes, digest and signature."""
