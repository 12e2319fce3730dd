"""The operations of Analytics."""
