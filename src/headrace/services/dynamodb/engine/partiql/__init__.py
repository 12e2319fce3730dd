"""PartiQL: the statements that DynamoDB knows, read into trees over the expressions of the engine."""
