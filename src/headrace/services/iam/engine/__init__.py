"""The machine of IAM: policy documents, read once and then evaluated."""
