"""One function for each operation of the model `kinesis`, by noun."""
