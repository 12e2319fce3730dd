"""Templates: reading, checking and evaluating them. Pure; only `sam` is a program of its own."""
