"""Streams: made, described, changed, deleted."""
