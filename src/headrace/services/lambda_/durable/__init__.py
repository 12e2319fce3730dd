"""Durable functions: executions that live longer than an invocation, as checkpoints in the store."""
