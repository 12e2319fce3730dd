"""Kinesis Data Streams: ordered, replayable shards of records."""
