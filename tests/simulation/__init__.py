"""The deterministic simulator: the product's own sessions and shells in virtual time, against modelled surroundings."""
