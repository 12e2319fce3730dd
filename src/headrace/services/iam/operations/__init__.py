"""The operations of IAM and STS, a folder for each model."""
