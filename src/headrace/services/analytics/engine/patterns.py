"""Java's date patterns ('yyyy-MM-dd HH:mm:ss'): reading and writing moments with them."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from headrace.services.analytics.engine.instants import EPOCH

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_LONG_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
                "December"]  # fmt: skip
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_PIECE = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|.", re.DOTALL)


def _pieces(pattern: str) -> list[tuple[str, int, str]]:
    """(letter, how often, text): the letter is empty for text that stands as it is."""
    made: list[tuple[str, int, str]] = []
    for found in _PIECE.finditer(pattern):
        if found[2]:
            if found[2] not in "yYMdDHhkKmsSaEzZXGuL":
                raise ValueError(f"Illegal pattern character '{found[2]}'")
            made.append((found[2], len(found.group()), ""))
        else:
            text = found.group() if found[1] is None else (found[1].replace("''", "'") or "'")
            made.append(("", 0, text))
    return made


def _expression(letter: str, count: int, alone: bool) -> str:
    if letter in "ML" and count >= 3:
        return "[A-Za-z]+"
    if letter in "Ea":
        return "[A-Za-z]+"
    if letter in "zZX":
        return r"Z|UTC|GMT|[A-Z]{3}|[+-]\d{2}:?\d{2}"
    if letter in "yu":
        return r"\d{4}" if count >= 3 and not alone else r"\d{1,4}" if count != 2 else r"\d{2}"
    if letter == "S":
        return r"\d{1,9}"
    return f"\\d{{{count}}}" if not alone else r"\d{1,2}"


@lru_cache(500)
def reader(pattern: str) -> Callable[[str], int]:
    """A function from text to milliseconds since 1970; it raises ValueError where the text is not of the pattern."""
    pieces = _pieces(pattern)
    letters: list[tuple[str, int]] = []
    parts: list[str] = []
    for place, (letter, count, text) in enumerate(pieces):
        if not letter:
            parts.append(re.escape(text))
            continue
        following = pieces[place + 1][0] if place + 1 < len(pieces) else ""
        letters.append((letter, count))
        parts.append(f"({_expression(letter, count, not following or following in 'zZX')})")
    matches = re.compile("".join(parts) + r".*", re.DOTALL).fullmatch

    def read(text: str) -> int:
        found = matches(text.strip())
        if found is None:
            raise ValueError(f"Unparseable date: '{text}'")
        return _assemble(letters, found.groups())

    return read


def _month(text: str) -> int:
    try:
        return _MONTHS.index(text[:3].title()) + 1
    except ValueError:
        raise ValueError(f"Unparseable month: '{text}'") from None


def _assemble(letters: list[tuple[str, int]], texts: tuple[str, ...]) -> int:
    year, month, day, day_of_year, hour, minute, second, ms, shift = 1970, 1, 1, 0, 0, 0, 0, 0, 0
    afternoon: bool | None = None
    for (letter, count), text in zip(letters, texts, strict=True):
        if letter in "yu":
            year = int(text) if count != 2 else 2000 + int(text) if int(text) < 80 else 1900 + int(text)
        elif letter in "ML":
            month = _month(text) if count >= 3 else int(text)
        elif letter == "d":
            day = int(text)
        elif letter == "D":
            day_of_year = int(text)
        elif letter in "Hk":
            hour = int(text) % 24
        elif letter in "hK":
            hour = int(text) % 12
        elif letter == "m":
            minute = int(text)
        elif letter == "s":
            second = int(text)
        elif letter == "S":
            ms = int(text.ljust(3, "0")[:3])
        elif letter == "a":
            afternoon = text.upper() == "PM"
        elif letter in "zZX" and text[0] in "+-":
            shift = (1 if text[0] == "-" else -1) * (int(text[1:3]) * 60 + int(text[-2:]))
    if afternoon:
        hour += 12
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC) + timedelta(minutes=shift)
    if day_of_year:
        moment += timedelta(days=day_of_year - 1)
    return round((moment - EPOCH).total_seconds()) * 1000 + ms


@lru_cache(500)
def writer(pattern: str) -> Callable[[int], str]:
    """A function from milliseconds since 1970 to text."""
    pieces = _pieces(pattern)

    def write(ms: int) -> str:
        moment = EPOCH + timedelta(milliseconds=ms)
        return "".join(text if not letter else _written(moment, letter, count) for letter, count, text in pieces)

    return write


def _written(moment: datetime, letter: str, count: int) -> str:
    if letter in "yYu":
        return f"{moment.year % 100:02d}" if count == 2 else f"{moment.year:0{count}d}"
    if letter in "ML" and count >= 3:
        return (_LONG_MONTHS if count > 3 else _MONTHS)[moment.month - 1]
    if letter == "E":
        day = _DAYS[moment.weekday()]
        return day if count > 3 else day[:3]
    if letter in "zZX":
        return {"z": "UTC", "Z": "+0000"}.get(letter, "Z")
    if letter == "S":
        return f"{moment.microsecond // 1000:03d}"[:count].ljust(count, "0")
    if letter == "a":
        return "PM" if moment.hour >= 12 else "AM"
    if letter == "G":
        return "AD"
    number = {
        "M": moment.month, "L": moment.month, "d": moment.day, "D": moment.timetuple().tm_yday, "H": moment.hour,
        "k": moment.hour or 24, "K": moment.hour % 12, "h": moment.hour % 12 or 12, "m": moment.minute, "s": moment.second,
    }[letter]  # fmt: skip
    return f"{number:0{count}d}"
