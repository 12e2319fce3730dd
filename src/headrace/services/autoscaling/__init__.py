"""Application Auto Scaling: the provisioned throughput of DynamoDB follows what is used."""
