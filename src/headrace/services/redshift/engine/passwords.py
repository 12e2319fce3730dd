"""What is kept of a password."""

import hashlib


def md5_hash(user: str, password: str) -> str:
    """PostgreSQL's md5 of password and user: enough to check an md5 login, and never the password itself."""
    return hashlib.md5((password + user).encode()).hexdigest()
