"""The page that staff watch: who is in, what each door does, and a way to let one person in."""
