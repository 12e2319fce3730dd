"""Amazon Resource Names."""

from typing import NamedTuple


class Arn(NamedTuple):
    """The parts of `arn:partition:service:region:account:resource`."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return ":".join(("arn", *self))


def arn(service: str, region: str, account: str, resource: str) -> str:
    """The text of an ARN in the `aws` partition."""
    return f"arn:aws:{service}:{region}:{account}:{resource}"


def parse(text: str) -> Arn:
    """Take an ARN apart; ValueError if it is none."""
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not parts[1] or not parts[2] or not parts[5]:
        raise ValueError(f"not an ARN: {text[:200]!r}")
    return Arn(*parts[1:])
