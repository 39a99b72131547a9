"""What a profile is made of: its sections, family by family, and the rules that hold between them."""
