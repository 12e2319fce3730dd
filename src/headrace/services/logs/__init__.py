"""CloudWatch Logs: groups of streams of log events."""
