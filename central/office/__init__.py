"""The administration as staff see it: ordered by what they want to do, its times marked as UTC."""
