"""The operations of the second model: SQL and Flink applications."""
