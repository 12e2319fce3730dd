"""Headrace: a self-hosted serverless stream platform that speaks the AWS wire protocols."""
