"""The COPY and UNLOAD statements: reading their options, of which every one is honoured or refused by name."""

import re
from dataclasses import dataclass, field

from headrace.services.redshift.engine.failures import SqlError, syntax, unsupported

_HEAD = re.compile(
    r"""(?is)^copy\s+(?P<table>(?:"[^"]+"|[\w$#]+)(?:\s*\.\s*(?:"[^"]+"|[\w$#]+))?)\s*
        (?:\((?P<columns>[^)]*)\))?\s*from\s+'(?P<source>(?:[^']|'')*)'\s*(?P<rest>.*)$""",
    re.X,
)
_UNLOAD = re.compile(
    r"(?is)^unload\s*\(\s*(?P<quote>'|\$\$)(?P<query>.*?)(?P=quote)\s*\)\s*to\s+'(?P<target>(?:[^']|'')*)'\s*(?P<rest>.*)$"
)
_UNLOAD_PLAIN = re.compile(
    r"(?is)^unload\s*\(\s*'(?P<query>(?:[^'\\]|\\.|'')*)'\s*\)\s*to\s+'(?P<target>(?:[^']|'')*)'\s*(?P<rest>.*)$"
)
_TOKEN = re.compile(r"\s*(?:'(?P<text>(?:[^'\\]|\\.|'')*)'|(?P<word>[A-Za-z_][\w]*)|(?P<number>\d+)|(?P<other>\S))")
_IGNORED = {"STATUPDATE", "COMPUPDATE"}  # advice for statistics and encodings, which are kept otherwise here
_FLAGS = {
    "GZIP", "MANIFEST", "TRUNCATECOLUMNS", "ROUNDEC", "EMPTYASNULL", "BLANKSASNULL", "IGNOREBLANKLINES", "REMOVEQUOTES",
    "TRIMBLANKS", "FILLRECORD", "EXPLICIT_IDS", "IGNOREALLERRORS", "HEADER", "ALLOWOVERWRITE", "CLEANPATH", "ADDQUOTES",

}  # fmt: skip
_REFUSED = {
    "LZOP",
    "BZIP2",
    "ZSTD",
    "SSH",
    "ENCRYPTED",
    "FIXEDWIDTH",
    "SHAPEFILE",
    "READRATIO",
    "PARTITION",
    "MASTER_SYMMETRIC_KEY",
    "EXTENSION",
    "ACCEPTANYDATE",
    "NOLOAD",
    "ESCAPE",
}


@dataclass(slots=True)
class Options:
    """What a COPY or UNLOAD said."""

    format: str = "DELIMITED"
    json: str = "auto"
    texts: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    role: str = ""
    access_key: tuple[str, str, str] = ("", "", "")

    @property
    def delimiter(self) -> str:
        """What stands between fields."""
        return self.texts.get("DELIMITER", "," if self.format == "CSV" else "|")


@dataclass(slots=True)
class Copy:
    """A COPY statement."""

    schema: str
    table: str
    columns: list[str]
    source: str
    options: Options


@dataclass(slots=True)
class Unload:
    """An UNLOAD statement."""

    query: str
    target: str
    options: Options


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: {"t": "\t", "n": "\n", "r": "\r"}.get(m[1], m[1]), text.replace("''", "'"))


class _Words:
    def __init__(self, text: str) -> None:
        self.tokens = [
            (match.lastgroup or "", match.group(match.lastgroup or 0)) for match in _TOKEN.finditer(text.rstrip().rstrip(";"))
        ]
        self.at = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("", "")

    def take(self) -> tuple[str, str]:
        self.at += 1
        return self.tokens[self.at - 1] if self.at <= len(self.tokens) else ("", "")

    def word(self, *choices: str) -> bool:
        kind, text = self.peek()
        if kind == "word" and text.upper() in choices:
            self.at += 1
            return True
        return False

    def text(self, option: str) -> str:
        kind, text = self.take()
        if kind != "text":
            raise syntax(f"{option} takes a quoted text")
        return _unquote(text)

    def number(self, option: str) -> int:
        kind, text = self.take()
        if kind != "number":
            raise syntax(f"{option} takes a number")
        return int(text)


def read_options(text: str) -> Options:
    """The options behind the source or target."""
    words, found = _Words(text), Options()
    while words.peek()[0]:
        kind, given = words.take()
        name = given.upper()
        if kind != "word":
            raise syntax(f'syntax error at or near "{given}"')
        _option(name, words, found)
    return found


def _option(name: str, words: _Words, found: Options) -> None:
    if name in ("WITH", "AS"):
        return
    if name in ("FORMAT", "CSV", "JSON", "PARQUET", "AVRO", "ORC"):
        if name == "FORMAT":
            words.word("AS")
            name = words.take()[1].upper()
        words.word("AS")
        if name not in ("CSV", "JSON", "PARQUET"):
            raise unsupported(f"FORMAT {name}")
        found.format = name
        if name == "JSON" and words.peek()[0] == "text":
            found.json = words.text(name)
    elif name in ("DELIMITER", "NULL", "QUOTE", "DATEFORMAT", "TIMEFORMAT", "ENCODING", "REGION", "ACCEPTINVCHARS"):
        words.word("AS")
        found.texts[name] = words.text(name) if words.peek()[0] == "text" or name != "ACCEPTINVCHARS" else "?"
        if name == "ACCEPTINVCHARS" and len(found.texts[name]) != 1:
            raise syntax("ACCEPTINVCHARS takes one character")
        if name == "ENCODING" and found.texts[name].upper() not in ("UTF8", "UTF-8"):
            raise unsupported(f"ENCODING {found.texts[name]}")
    elif name in ("IGNOREHEADER", "MAXERROR", "COMPROWS", "MAXFILESIZE", "ROWGROUPSIZE"):
        words.word("AS")
        found.numbers[name] = words.number(name)
        words.word("MB", "GB")
    elif name in ("PARALLEL",):
        words.word("ON", "OFF", "TRUE", "FALSE")
    elif name in _IGNORED:
        words.word("ON", "OFF", "TRUE", "FALSE", "PRESET")
    elif name == "IAM_ROLE":
        found.role = "default" if words.word("DEFAULT") else words.text(name)
    elif name == "CREDENTIALS":
        words.word("AS")
        _credentials(words.text(name), found)
    elif name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
        place = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN").index(name)
        given = words.text(name)
        found.access_key = (*found.access_key[:place], given, *found.access_key[place + 1 :])  # type: ignore[assignment]
    elif name in _FLAGS:
        found.flags.add(name)
    elif name in _REFUSED:
        raise unsupported(name)
    else:
        raise syntax(f'syntax error at or near "{name.lower()}"')


def _credentials(text: str, found: Options) -> None:
    pairs = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
    found.role = pairs.get("aws_iam_role", "")
    found.access_key = (pairs.get("aws_access_key_id", ""), pairs.get("aws_secret_access_key", ""), pairs.get("token", ""))


def read_copy(text: str) -> Copy:
    """A COPY statement. SqlError when it cannot be read."""
    match = _HEAD.match(text)
    if not match:
        raise syntax("COPY table FROM 's3://…' is expected (COPY FROM STDIN is not supported)")
    parts = [part.strip().strip('"').lower().removeprefix("#").removeprefix("hr_temp_") for part in match["table"].split(".")]
    source = match["source"].replace("''", "'")
    if not source.startswith("s3://"):
        raise unsupported("COPY from anything but s3://")
    columns = [column.strip().strip('"').lower() for column in (match["columns"] or "").split(",") if column.strip()]
    options = read_options(match["rest"])
    for flag in ("HEADER", "ALLOWOVERWRITE", "CLEANPATH", "ADDQUOTES"):
        if flag in options.flags:
            raise syntax(f"{flag} is no option of COPY")
    if "REMOVEQUOTES" in options.flags and options.format != "DELIMITED":
        raise SqlError("42601", "REMOVEQUOTES and ESCAPE go with delimited text only")
    return Copy(parts[0] if len(parts) > 1 else "", parts[-1], columns, source, options)


def read_unload(text: str) -> Unload:
    """An UNLOAD statement. SqlError when it cannot be read."""
    match = _UNLOAD_PLAIN.match(text) or _UNLOAD.match(text)
    if not match:
        raise syntax("UNLOAD ('query') TO 's3://…' is expected")
    target = match["target"].replace("''", "'")
    if not target.startswith("s3://"):
        raise unsupported("UNLOAD to anything but s3://")
    query = match["query"]
    query = query if "$$" in text[:20] else re.sub(r"\\'", "'", query.replace("''", "'"))
    return Unload(query, target, read_options(match["rest"]))
