"""The link to the devices, central's half of `doorstile.v1`."""
