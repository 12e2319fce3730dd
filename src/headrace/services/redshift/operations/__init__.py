"""The operations of both APIs."""
