"""CloudWatch metrics: numbers over time."""
