"""IAM and STS: who may do what, and the keys they do it with."""
