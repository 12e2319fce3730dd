"""Floor 5: HTTP in and out."""
