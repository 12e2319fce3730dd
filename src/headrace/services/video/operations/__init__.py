"""The operations, one folder for each of the AWS models."""
