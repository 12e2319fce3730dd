"""Flink applications: their configuration, and their jobs at a Flink cluster."""
