"""Changing the key of the credential index on devices, without a moment at which a door fails a valid card."""
