"""The machine of CloudWatch Logs: filter patterns."""
