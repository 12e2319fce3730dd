"""Read the text of statements just far enough to cut and mark them, before a parser sees it."""

import re

PARAMETER = "hr_parameter_"
_PIECE = re.compile(
    r"""(?P<quoted>(?:(?<!\w)[eE])?'(?:[^'\\]|\\.|'')*'|"(?:[^"]|"")*")
      |(?P<comment>--[^\n]*)
      |(?P<dollar>\$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$)
      |\$(?P<number>\d+)
      |(?P<open>/\*)
      |(?P<end>;)
      |(?P<temp>(?<![\w$#])\#(?=[A-Za-z_]))""",
    re.S | re.X,
)


def _comment_end(text: str, start: int) -> int:
    """The index behind a block comment, which may hold others."""
    depth, at = 0, start
    while at < len(text):
        if text.startswith("/*", at):
            depth, at = depth + 1, at + 2
        elif text.startswith("*/", at):
            depth, at = depth - 1, at + 2
            if not depth:
                return at
        else:
            at += 1
    return len(text)


def statements(text: str) -> list[str]:
    """The statements in a text, without comments; `$1` becomes an identifier, since a parser would take it for a quote.

    `#name` (a temporary table) becomes `hr_temp_name`; both are mapped back after parsing.
    """
    found: list[str] = []
    current: list[str] = []
    at = 0
    while match := _PIECE.search(text, at):
        current.append(text[at : match.start()])
        at = match.end()
        if match["end"]:
            found.append("".join(current))
            current = []
        elif match["number"]:
            current.append(f" {PARAMETER}{match['number']} ")
        elif match["comment"]:
            current.append(" ")
        elif match["open"]:
            at = _comment_end(text, match.start())
            current.append(" ")
        elif match["temp"]:
            current.append("hr_temp_")
        else:
            # E'…' means the same as '…' here, and would be taken for bytes.
            current.append(match[0][1:] if match[0][0] in "eE" else match[0])
    current.append(text[at:])
    found.append("".join(current))
    return [stripped for piece in found if (stripped := piece.strip())]


_QUALIFIED = (
    (re.compile(r"pg_catalog\.unnest\(tc\.reloptions\) x", re.I), "(SELECT CAST(NULL AS VARCHAR) AS x) x"),
    (re.compile(r"pg_catalog\.(?:array_to_string|pg_size_pretty|pg_table_size|pg_get_viewdef)\s*\(", re.I), "hr_catalog_list("),
    (re.compile(r"OPERATOR\s*\(\s*pg_catalog\.([~!*<>=@#%^&|?+-]+)\s*\)", re.I), r" \1 "),
    (re.compile(r"\s+COLLATE\s+pg_catalog\.(?:default\b|'\d+')", re.I), ""),
    (re.compile(r"::\s*(?:pg_catalog\.)?(regclass|regtype|regproc)\b", re.I), "::text"),
    (re.compile(r"\bpg_catalog\.(\w+\s*\()", re.I), r"\1"),
    (re.compile(r"::\s*pg_catalog\.", re.I), "::"),
    (re.compile(r"\bARRAY\s*\(\s*SELECT\s+((?:[^()]|\([^()]*\))*?)\s+FROM\s", re.I), r"(SELECT MAX(\1) FROM "),
)


def catalog_query(text: str) -> str:
    """A query on pg_catalog, as tools write them, without the qualifiers that our parser does not read.

    Only what stands outside of quotes is touched.
    """
    quoted: list[str] = []

    def hide(match: re.Match[str]) -> str:
        if not match["quoted"]:
            return match[0]
        quoted.append(match[0])
        return f"'{len(quoted) - 1}'"

    hidden = _PIECE.sub(hide, text)
    for pattern, replacement in _QUALIFIED:
        hidden = pattern.sub(replacement, hidden)
    return re.sub(r"'(\d+)'", lambda match: quoted[int(match[1])], hidden)


def first_words(text: str, count: int = 3) -> list[str]:
    """The first words of a statement, in upper case."""
    return [word.upper() for word in re.findall(r"[A-Za-z_]+", text[:200])[:count]]


def literal(value: str) -> str:
    """A string as a DuckDB literal."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as a DuckDB quoted identifier."""
    return '"' + name.replace('"', '""') + '"'
