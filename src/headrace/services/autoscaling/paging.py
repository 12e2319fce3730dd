"""Pages: the token is the key behind which the next page goes on."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from typing import Any, TypeVar

from headrace.kit.errors import ValidationException
from headrace.services.autoscaling import limits
from headrace.services.autoscaling.errors import InvalidNextTokenException

T = TypeVar("T")


def page(
    found: Iterable[tuple[tuple[Any, ...], T]], count: int | None, token: str | None
) -> tuple[list[tuple[tuple[Any, ...], T]], dict[str, str]]:
    """(rows of a page, its NextToken if there are more) of (key, row) in the order of the keys."""
    size = count or limits.PAGE_DEFAULT
    if not 0 < size <= limits.PAGE_MAX:
        raise ValidationException(f"MaxResults must be between 1 and {limits.PAGE_MAX}")
    after: tuple[Any, ...] | None = None
    if token is not None:
        try:
            after = tuple(json.loads(urlsafe_b64decode(token)))
        except (ValueError, TypeError):
            raise InvalidNextTokenException("The NextToken is not valid") from None
    rows: list[tuple[tuple[Any, ...], T]] = []
    for key, row in found:
        try:
            if after is not None and key <= after:
                continue
        except TypeError:
            raise InvalidNextTokenException("The NextToken is not valid") from None
        if len(rows) == size:
            return rows, {"NextToken": urlsafe_b64encode(json.dumps(rows[-1][0]).encode()).decode()}
        rows.append((key, row))
    return rows, {}
