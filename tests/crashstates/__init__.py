"""What a power cut may leave on the medium, built by the thousand and opened with the real code."""
