"""Floor 1: the AWS wire protocols, driven by botocore's service models."""
