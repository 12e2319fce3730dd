"""DynamoDB and DynamoDB Streams: tables, expressions, indexes, and a stream of every change."""
