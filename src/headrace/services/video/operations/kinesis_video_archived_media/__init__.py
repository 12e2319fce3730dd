"""Media that is kept."""
