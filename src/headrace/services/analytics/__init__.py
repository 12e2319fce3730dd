"""Kinesis Data Analytics: SQL over streams, running all the time."""
