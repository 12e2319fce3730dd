r"""The models' regular expressions, which are Java's, as Python's.

Python lacks `\p{…}`: inside a class it becomes ranges that hold at least what the property does, so that nothing which AWS
takes is refused. A pattern that Python cannot read at all is not checked.
"""

import re
import warnings
from functools import lru_cache

_BEYOND_LATIN = "\u00aa-\u1fff\u2c00-\u2dff\u3005-\ud7ff\uf900-\ufffd\U00010000-\U0010ffff"
_PROPERTIES = {
    "L": "A-Za-z" + _BEYOND_LATIN,
    "IsAlphabetic": "A-Za-z" + _BEYOND_LATIN,
    "IsLetter": "A-Za-z" + _BEYOND_LATIN,
    "Lu": "A-Z" + _BEYOND_LATIN,
    "Ll": "a-z" + _BEYOND_LATIN,
    "LD": "A-Za-z0-9" + _BEYOND_LATIN,
    "M": "\u0300-\u036f" + _BEYOND_LATIN,
    "Z": " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
    "Zs": " \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000",
    "N": "0-9" + _BEYOND_LATIN,
    "Nd": "0-9" + _BEYOND_LATIN,
    "IsDigit": "0-9" + _BEYOND_LATIN,
    "P": "!-#%-*,-/:;?@\\[-\\]_{}\u00a1-\u00bf\u2010-\u2027\u2030-\u205e\u2e00-\u2e7f\u3001-\u3030" + _BEYOND_LATIN,
    "S": "$+<->^`|~\u00a2-\u00b8\u00d7\u00f7\u2044-\u2bff" + _BEYOND_LATIN,
    "C": "\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ue000-\uf8ff",
    "Cc": "\x00-\x1f\x7f-\x9f",
    "Cntrl": "\x00-\x1f\x7f",
    "ASCII": "\x00-\x7f",
    "Alpha": "A-Za-z",
    "Alnum": "A-Za-z0-9",
    "Digit": "0-9",
    "Lower": "a-z",
    "Upper": "A-Z",
    "Punct": "!-/:-@\\[-`{-~",
    "Graph": "!-~",
    "Print": " -~",
    "Space": " \t\n\r\f\v",
    "Blank": " \t",
    "XDigit": "0-9A-Fa-f",
}
_PROPERTY = re.compile(r"\\([pP])(?:\{(\w+)\}|([LMNPSZC]))")
_CODE_POINT = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")


@lru_cache(4096)
def compile_pattern(pattern: str) -> re.Pattern[str] | None:
    """The pattern as Python's, to be matched in full as AWS does; None if it cannot be read."""
    try:
        text = _CODE_POINT.sub(lambda found: re.escape(chr(int(found[1], 16))), pattern)
        text = _expand(text)
        with warnings.catch_warnings():
            # Java's class operators ("&&", "[[") are warned of, and read as plain characters.
            warnings.simplefilter("error")
            return re.compile(text)
    except (re.error, KeyError, ValueError, OverflowError, FutureWarning):
        return None


def _expand(pattern: str) -> str:
    out, at, in_class = [], 0, False
    while at < len(pattern):
        found = _PROPERTY.match(pattern, at)
        if found is not None:
            ranges = _PROPERTIES[found[2] or found[3]]
            if found[1] == "P":
                if in_class:
                    raise KeyError("a negated property inside a class")
                out.append(f"[^{ranges}]")
            else:
                out.append(ranges if in_class else f"[{ranges}]")
            at = found.end()
            continue
        character = pattern[at]
        if character == "\\":
            out.append(pattern[at : at + 2])
            at += 2
            continue
        if character == "[":
            in_class = True
        elif character == "]":
            in_class = False
        out.append(character)
        at += 1
    return "".join(out)
