"""Media as it is sent."""
