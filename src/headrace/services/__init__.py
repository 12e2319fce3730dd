"""Floor 4: one folder per AWS service. Services never import one another."""
