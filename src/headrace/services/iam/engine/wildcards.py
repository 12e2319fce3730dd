"""Matching with ``*`` and ``?``, in time bounded by the product of the two lengths."""

from collections.abc import Mapping
from functools import lru_cache
from re import compile as regex

_VARIABLE = regex(r"\$\{([^}]*)\}")
_LITERALS = {"*": "*", "?": "?", "$": "$"}
# Stand-ins for a star or question mark that a variable brought in: such a one is a plain character, never a wildcard.
_PLAIN = str.maketrans({"*": "\ue000", "?": "\ue001"})
_BACK = str.maketrans({"\ue000": "*", "\ue001": "?"})


@lru_cache(maxsize=2048)
def matches(pattern: str, text: str) -> bool:
    """Whether the whole text fits the pattern; ``*`` stands for any run of characters, ``?`` for one."""
    if "*" not in pattern and "?" not in pattern:
        return pattern.translate(_BACK) == text
    at = mark = 0
    star = -1
    place = 0
    while place < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, mark = at, place
            at += 1
        elif at < len(pattern) and (pattern[at] == "?" or pattern[at].translate(_BACK) == text[place]):
            at += 1
            place += 1
        elif star >= 0:
            mark += 1
            at, place = star + 1, mark
        else:
            return False
    return all(letter == "*" for letter in pattern[at:])


def arn_matches(pattern: str, arn: str) -> bool:
    """Whether an ARN fits an ARN pattern, each of its six parts by itself: no wildcard reaches over a colon."""
    wanted, given = pattern.split(":", 5), arn.split(":", 5)
    if len(wanted) != 6 or len(given) != 6:
        return pattern in ("*", arn)
    return all(matches(part, value) for part, value in zip(wanted, given, strict=True))


def substitute(pattern: str, context: Mapping[str, tuple[str, ...]]) -> str | None:
    """The pattern with its ``${variables}`` filled in from the request, or None when one has no single value."""
    if "${" not in pattern:
        return pattern
    pieces: list[str] = []
    at = 0
    for found in _VARIABLE.finditer(pattern):
        pieces.append(pattern[at : found.start()])
        name, _, default = found.group(1).partition(",")
        values = context.get(name.strip().lower())
        if name in _LITERALS:
            pieces.append(_LITERALS[name].translate(_PLAIN))
        elif values is not None and len(values) == 1:
            pieces.append(values[0].translate(_PLAIN))
        elif default:
            pieces.append(default.strip().strip("'").translate(_PLAIN))
        else:
            return None
        at = found.end()
    pieces.append(pattern[at:])
    return "".join(pieces)
