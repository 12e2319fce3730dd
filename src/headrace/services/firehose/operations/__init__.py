"""One function for each operation of the model `firehose`, by noun."""
