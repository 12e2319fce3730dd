"""SQS: queues of messages."""
