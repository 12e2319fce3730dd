"""AWS operations of Lambda, one file a noun."""
