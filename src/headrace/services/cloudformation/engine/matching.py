"""Whether a text matches a regular expression that a template gives, as a program that can be stopped.

Some expressions take for ever on some texts. Reads [pattern, text] as JSON on standard input, writes true, false, or null when
the pattern is none.
"""

import json
import re
import sys


def matches(pattern: str, text: str) -> bool | None:
    """Whether the whole text matches; None when the pattern is no regular expression."""
    try:
        return re.fullmatch(pattern, text) is not None
    except (re.error, RecursionError, OverflowError):
        return None


if __name__ == "__main__":
    json.dump(matches(*json.load(sys.stdin)), sys.stdout)
