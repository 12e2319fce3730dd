"""Paths into JSON, as AWS's schemas write them: `$.a.b`, `$.a[0:].b`."""

import re
from typing import Any

from headrace.services.analytics.engine.schema import SqlError

Path = tuple[str | int | None, ...]
"""Names of members; None stands for `[0:]`, all elements of an array; a number for one element."""

_STEP = re.compile(r"""\.?(?:\[\s*(?:(\d+)|\d*\s*:|\*|['"]([^'"\]]+)['"])\s*\]|([^.\[\]]+))""")


def steps(path: str) -> Path:
    """The steps of a path. SqlError when it is none."""
    text = path.strip()
    if not text.startswith("$"):
        raise SqlError(f"'{path}' is no JSONPath: it begins with $")
    text, made = text[1:], []
    while text:
        found = _STEP.match(text)
        if not found:
            raise SqlError(f"'{path}' is no JSONPath")
        made.append(found[2] or found[3] or (int(found[1]) if found[1] else None))
        text = text[found.end() :]
    return tuple(made)


def find(value: Any, path: Path) -> Any:
    """What lies at a path; None when there is nothing. `[0:]` at the end is the whole array."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        elif step is None:
            value = value if isinstance(value, list) else None
        else:
            value = value[step] if isinstance(value, list) and step < len(value) else None
        if value is None:
            return None
    return value
