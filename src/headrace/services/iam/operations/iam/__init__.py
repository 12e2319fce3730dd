"""IAM: roles, users, policies and access keys."""
