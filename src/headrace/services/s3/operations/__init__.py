"""The operations of S3, by noun."""
