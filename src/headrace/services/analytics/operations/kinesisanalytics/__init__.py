"""The operations of the first model: SQL applications."""
