"""The operations, one folder for each AWS model."""
