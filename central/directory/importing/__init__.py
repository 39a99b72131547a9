"""Members and credentials from a CSV file: read, checked line by line, and applied as a whole or not at all."""
