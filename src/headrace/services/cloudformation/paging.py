"""Pages of a list: the token is where the next page begins."""

from collections.abc import Sequence
from typing import Any, TypeVar

from headrace.kit.errors import ValidationError

T = TypeVar("T")


def page(items: Sequence[T], token: str | None, size: int) -> tuple[Sequence[T], dict[str, Any]]:
    """(the items of a page, {"NextToken": …} when there are more)."""
    if token is not None and not token.isdecimal():
        raise ValidationError("Invalid NextToken")
    begin = 0 if token is None else int(token[:12])
    end = begin + size
    return items[begin:end], {"NextToken": str(end)} if len(items) > end else {}
