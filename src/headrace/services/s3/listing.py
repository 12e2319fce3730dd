"""Listing keys in order: a page of them, with those that share a prefix up to a delimiter rolled up into one.

Whole groups are skipped by one seek, so a page costs as much as it shows, however many keys lie under a group.
"""

from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

# (after, inclusive prefix or "") → the rows behind a place in order: see `page`.
Scan = Callable[["Place"], Iterator[tuple[str, T]]]


class Place(NamedTuple):
    """Behind a key, or (with `group`) behind all keys that begin with it."""

    key: str
    group: bool = False


class Page(NamedTuple, Generic[T]):
    """Rows and groups in order, and the place behind the last of them if there are more."""

    rows: list[tuple[str, T]]
    groups: list[str]
    next: Place | None


def with_suffix(name: str) -> str:
    """The key in a row's name that has something more behind a zero byte: a version id, an upload id."""
    return name.rpartition("\x00")[0]


def page(
    scan: Scan[T], prefix: str, delimiter: str, after: Place | None, limit: int, key_of: Callable[[str], str] = str
) -> Page[T]:
    """Up to `limit` rows and groups. `scan` gives the rows behind a place whose keys begin with the prefix.

    `key_of` gives the key of a row's name, where the name is more than the key.
    """
    rows: list[tuple[str, T]] = []
    groups: list[str] = []
    if limit == 0:
        return Page(rows, groups, None)
    place = after if after is not None else Place("")
    while True:
        group = None
        for key, row in scan(place):
            if len(rows) + len(groups) == limit:
                return Page(rows, groups, place)
            at = key_of(key).find(delimiter, len(prefix)) if delimiter else -1
            if at >= 0:
                group = key[: at + len(delimiter)]
                groups.append(group)
                break
            rows.append((key, row))
            place = Place(key)
        if group is None:
            return Page(rows, groups, None)
        place = Place(group, group=True)
