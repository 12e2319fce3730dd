"""The one door to chance: identifiers, tokens and the random numbers that services need."""

import base64
import os
import random
import uuid


class Ids:
    """Makes identifiers. With a seed it makes the same ones each time (tests); without, unguessable ones."""

    def __init__(self, seed: int | None = None) -> None:
        self.random: random.Random = random.SystemRandom() if seed is None else random.Random(seed)
        self._seeded = seed is not None

    def bytes(self, count: int) -> bytes:
        """`count` random bytes."""
        return self.random.randbytes(count) if self._seeded else os.urandom(count)

    def uuid(self) -> str:
        """A version 4 UUID in its usual text form."""
        return str(uuid.UUID(bytes=self.bytes(16), version=4))

    def hex(self, digits: int) -> str:
        """`digits` random hexadecimal digits, lower case."""
        return self.bytes((digits + 1) // 2).hex()[:digits]

    def token(self, count: int) -> str:
        """`count` random bytes as URL-safe text without padding."""
        return base64.urlsafe_b64encode(self.bytes(count)).rstrip(b"=").decode()

    def upper(self, length: int) -> str:
        """`length` random characters A-Z2-7, as in access key ids and CloudFormation's physical names."""
        return base64.b32encode(self.bytes((length * 5 + 7) // 8)).decode()[:length]
