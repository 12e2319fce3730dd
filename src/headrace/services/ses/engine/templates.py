"""Reading Handlebars templates, as far as SES takes them, into a tree.

Tags: ``{{a.b}}``, ``{{{a}}}``, ``{{&a}}``, ``#if``, ``#unless``, ``#each``, ``#with``, ``{{#name}}``, ``{{^name}}``,
``{{else}}``, ``{{else if}}``, block parameters (``as |item index|``), inline partials (``{{#* inline "x"}}``), ``{{> x}}``,
comments, ``~``. A block tag alone on its line takes the line with it. No helper exists: a template runs nothing.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

TEMPLATE_CHARACTERS_MAX = 512 * 1024
DEPTH_MAX = 40
TAGS_MAX = 20_000

_SEGMENT = re.compile(r"\[([^\]]*)\]|([^./\[\]]+)")
_STEP = r"(?:[^\s./\[\]{}()|=@]+|\[[^\]]*\])"
_PATH = re.compile(rf"^(?:\.\./)*(?:\.|\.\.|@?{_STEP}(?:[./]{_STEP})*)$")
_PARAMETERS = re.compile(r"^(?P<path>\S+)(?:\s+as\s+\|\s*(?P<names>[\w$]+(?:\s+[\w$]+)?)\s*\|)?$")
_INLINE = re.compile(r"""^#\*\s*inline\s+["']([^"']+)["']$""")
_LINE_START = re.compile(r"(?:^|\n)[ \t]*\Z")
_LINE_END = re.compile(r"\A[ \t]*(?:\r?\n|\Z)")


class TemplateSyntax(ValueError):
    """The template cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Path:
    """Where a value lies: how many frames up, whether it is a @variable, and the steps down."""

    text: str
    up: int
    steps: tuple[str, ...]
    variable: bool = False


@dataclass(frozen=True, slots=True)
class Value:
    """A replacement tag."""

    path: Path


@dataclass(frozen=True, slots=True)
class Partial:
    """A call of an inline partial."""

    name: str


@dataclass(slots=True)
class Block:
    """A block: kind is if, unless, each, with or section."""

    kind: str
    path: Path
    names: tuple[str, ...] = ()
    body: "list[Node]" = field(default_factory=list)
    otherwise: "list[Node]" = field(default_factory=list)


@dataclass(slots=True)
class Inline:
    """The definition of an inline partial."""

    name: str
    body: "list[Node]" = field(default_factory=list)


Node: TypeAlias = "str | Value | Partial | Block | Inline"


@dataclass(slots=True)
class _Token:
    text: str
    tag: str | None  # None for plain text
    alone: bool = False  # kinds that can stand alone on a line
    left: bool = False
    right: bool = False


@lru_cache(maxsize=16)
def compile_template(source: str) -> tuple[Node, ...]:
    """The tree of a template; TemplateSyntax when it has none."""
    if len(source) > TEMPLATE_CHARACTERS_MAX:
        raise TemplateSyntax(f"The template exceeds the maximum size of {TEMPLATE_CHARACTERS_MAX} characters")
    tokens = _tokens(source)
    _strip(tokens)
    return tuple(_Parser(tokens).run())


def _tokens(source: str) -> list[_Token]:
    """Text and tags in turn; text stands on both sides of every tag, be it empty."""
    tokens: list[_Token] = []
    pieces: list[str] = []
    at = 0
    while (start := source.find("{{", at)) >= 0:
        slashes = source[max(at, start - 2) : start]
        if slashes.endswith("\\") and slashes != "\\\\":  # \{{ is text
            pieces += (source[at : start - 1], "{{")
            at = start + 2
            continue
        pieces.append(source[at : start - 1 if slashes == "\\\\" else start])
        tag, at = _tag_at(source, start)
        tokens += (_Token("".join(pieces), None), tag)
        if len(tokens) > 2 * TAGS_MAX:
            raise TemplateSyntax(f"The template has more than {TAGS_MAX} tags")
        pieces = []
    tokens.append(_Token("".join(pieces) + source[at:], None))
    return tokens


def _tag_at(source: str, start: int) -> tuple[_Token, int]:
    left = source.startswith("~", start + 2)
    inside = start + 2 + left
    head = "--" if source.startswith("!--", inside) else "}" if source.startswith("{", inside) else ""
    end, width = source.find(head + "}}", inside), len(head) + 2
    # Looked for only before the other ending, so that reading stays linear.
    tilde = source.find(head + "~}}", inside, end if end >= 0 else len(source)) if head else -1
    if tilde >= 0:
        end, width = tilde, len(head) + 3
    if end < 0:
        raise TemplateSyntax("A tag is opened with {{ but not closed")
    content = source[inside:end]
    right = tilde >= 0 or (not head and content.endswith("~"))
    tag = content.removeprefix("{").removesuffix("~").strip()
    if tag.startswith("!"):
        tag = "!"
    alone = tag.startswith(("#", "/", "^", "!", ">")) or tag == "else" or tag.startswith("else ")
    return _Token(source[start:end], tag, alone, left, right), end + width


def _strip(tokens: list[_Token]) -> None:
    """Take the white space away that ``~`` and tags alone on their line take."""
    plain = [token.text for token in tokens]
    last = len(tokens) - 1
    cut_left: dict[int, str] = {}
    for place, token in enumerate(tokens):
        if token.tag is None:
            continue
        before, after = tokens[place - 1], tokens[place + 1]  # text stands on both sides of every tag
        starts = _LINE_START.search(plain[place - 1])
        ends = _LINE_END.match(plain[place + 1])
        starts_line = starts and (starts.group().startswith("\n") or place == 1)
        ends_line = ends and (ends.group().endswith("\n") or place + 1 == last)
        if token.alone and starts_line and ends_line:
            before.text = before.text.rstrip(" \t")
            cut_left[place + 1] = ends.group() if ends else ""
        if token.left:
            before.text = before.text.rstrip()
        if token.right:
            cut_left[place + 1] = after.text[: len(after.text) - len(after.text.lstrip())]
    for place, cut in cut_left.items():
        tokens[place].text = tokens[place].text.removeprefix(cut)


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens = tokens
        self.root: list[Node] = []
        self.into = self.root
        self.open: list[tuple[str, Block | Inline, list[Node], int]] = []  # closing name, block, where to return, depth of chain

    def run(self) -> list[Node]:
        for token in self.tokens:
            if token.tag is None:
                if token.text:
                    self.into.append(token.text)
            elif token.tag != "!":
                self._tag(token.tag)
        if self.open:
            raise TemplateSyntax(f"The block {self.open[-1][0]} is not closed")
        return self.root

    def _tag(self, tag: str) -> None:
        if not tag:
            raise TemplateSyntax("A tag is empty")
        if tag.startswith("#"):
            self._opens(tag)
        elif tag.startswith("/"):
            self._closes(tag[1:].strip())
        elif tag in ("^", "else") or tag.startswith("else "):
            self._otherwise(tag[4:].strip() if tag != "^" else "")
        elif tag.startswith("^"):
            path = read_path(tag[1:].strip())
            self._enter(path.text, Block("unless", path))
        elif tag.startswith(">"):
            self.into.append(Partial(tag[1:].strip()))
        else:
            self.into.append(Value(read_path(tag.removeprefix("&").strip())))

    def _opens(self, tag: str) -> None:
        inline = _INLINE.match(tag)
        if inline:
            self._enter("inline", Inline(inline.group(1)))
            return
        name, _, rest = tag[1:].strip().partition(" ")
        self._enter(name, _block(name, rest.strip()))

    def _enter(self, name: str, block: Block | Inline) -> None:
        if len(self.open) >= DEPTH_MAX:
            raise TemplateSyntax(f"Blocks are nested more than {DEPTH_MAX} deep")
        self.into.append(block)
        self.open.append((name, block, self.into, 0))
        self.into = block.body

    def _otherwise(self, chained: str) -> None:
        if not self.open or isinstance(self.open[-1][1], Inline):
            raise TemplateSyntax("An else stands outside of a block")
        name, block, back, chain = self.open[-1]
        assert isinstance(block, Block)
        if self.into is block.otherwise:
            raise TemplateSyntax(f"The block {name} has two else parts")
        self.into = block.otherwise
        if chained:  # {{else if x}}: a block inside the else part, closed by the outer block's end
            if len(self.open) + chain >= DEPTH_MAX:
                raise TemplateSyntax(f"Blocks are nested more than {DEPTH_MAX} deep")
            kind, _, rest = chained.partition(" ")
            inner = _block(kind, rest.strip())
            self.into.append(inner)
            self.open[-1] = (name, inner, back, chain + 1)
            self.into = inner.body

    def _closes(self, name: str) -> None:
        if not self.open or self.open[-1][0] != name:
            expected = f"; {self.open[-1][0]} is open" if self.open else ""
            raise TemplateSyntax(f"The end tag {name} fits no block{expected}")
        self.into = self.open.pop()[2]


def _block(kind: str, rest: str) -> Block:
    if kind in ("if", "unless", "each", "with"):
        found = _PARAMETERS.match(rest)
        if not found:
            raise TemplateSyntax(f"The block {kind} takes one attribute")
        return Block(kind, read_path(found["path"]), tuple((found["names"] or "").split()))
    if rest:
        raise TemplateSyntax(f"There is no helper {kind}")
    return Block("section", read_path(kind))


def read_path(text: str) -> Path:
    """A dotted path; TemplateSyntax when it is none (a helper call, a literal)."""
    if not _PATH.match(text):
        raise TemplateSyntax(f"{text!r} is not an attribute")
    rest, up = text, 0
    while rest == ".." or rest.startswith("../"):
        rest, up = rest[3:], up + 1
    variable = rest.startswith("@")
    steps = [quoted or plain for quoted, plain in _SEGMENT.findall(rest.removeprefix("@"))]
    if not variable and steps and steps[0] == "this":
        return Path(text, up, ("this", *steps[1:]))
    if not steps:
        steps = ["this"]
    return Path(text, up, tuple(steps), variable)
