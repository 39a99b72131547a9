"""What if: a decision that a door would make, rule by rule, and what would still open there without the link."""
