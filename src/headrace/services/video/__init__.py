"""Kinesis Video Streams: takes video in, keeps it as fragments, gives it out."""
