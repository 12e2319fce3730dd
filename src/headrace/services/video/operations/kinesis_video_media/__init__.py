"""Media as it comes."""
