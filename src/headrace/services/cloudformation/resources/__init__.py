"""Resource types: how each is made, changed, removed and described through the services' own operations."""
