"""The structure of the house: floors import downwards, rooms do not see each other, no import hides in a function."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "headrace"
FLOORS = {
    "kit": 0, "store": 1, "wire": 1, "layers": 2, "sql": 2, "ports": 2, "workers": 2, "operation": 3, "consumer": 3, "roles": 3,
    "services": 4, "gateway": 5, "loading": 5, "app": 6, "cli": 7,
}  # fmt: skip
# Rooms of one floor that may see each other, and why: the consumer is built on operations' contexts.
NEIGHBOURS = {("consumer", "operation"), ("roles", "operation")}
FORBIDDEN_NAMES = {"utils", "helpers", "common", "manager", "provider", "models"}
LINES_MAX = 500
FUNCTION_LINES_MAX = 60
# Only these may import what is heavy: they are programs of their own, or commands.
CLIENTS_OF_AWS = {("cli",)}

FILES = sorted(SOURCE.rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """(module, whether it stands inside a function) of each import."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in inside
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield f"{node.module}.{alias.name}", id(node) in inside


def name_of(path: Path) -> tuple[str, ...]:
    return path.relative_to(SOURCE).with_suffix("").parts


def check_import(importer: tuple[str, ...], imported: tuple[str, ...]) -> str | None:
    """What is wrong with an import inside headrace, or None."""
    here, there = importer[0], imported[0]
    if here == there:
        if here == "services" and len(imported) > 1 and importer[1] != imported[1]:
            return f"service {importer[1]} imports service {imported[1]}"
        return None
    if FLOORS[there] > FLOORS[here]:
        return f"{here} (floor {FLOORS[here]}) imports {there} (floor {FLOORS[there]})"
    if FLOORS[there] == FLOORS[here] and (here, there) not in NEIGHBOURS:
        return f"{here} and {there} are on one floor"
    return None


def wrong_imports(name: tuple[str, ...], tree: ast.Module) -> Iterator[str]:
    for module, inside in imports(tree):
        parts = tuple(module.split("."))
        if inside:
            yield f"the import of {module} hides in a function"
        if parts[0] == "headrace" and len(parts) > 1 and name[0] in FLOORS and parts[1] in FLOORS:
            problem = check_import(name, parts[1:])
            if problem:
                yield problem
        if parts[0] in ("botocore", "boto3") and name[:1] not in CLIENTS_OF_AWS:
            yield f"{module}: only wire.models reads botocore's data, and it does not import it"


def is_overload(node: ast.FunctionDef | ast.ClassDef) -> bool:
    return any(isinstance(decorator, ast.Name) and decorator.id == "overload" for decorator in node.decorator_list)


def wrong_form(path: Path, tree: ast.Module) -> Iterator[str]:
    if not ast.get_docstring(tree):
        yield "no module docstring"
    if path.name == "__init__.py" and len(tree.body) > 1:
        yield "__init__.py is a docstring only"
    if path.stem in FORBIDDEN_NAMES and name_of(path) != ("wire", "models"):
        yield f"the name {path.stem} says nothing"
    lines = len(path.read_text().splitlines())
    if lines > LINES_MAX:
        yield f"{lines} lines: more than one idea?"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield f"{node.name} has {length} lines"
    for node in tree.body:
        public = isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_"
        # One docstring serves a function and its overloads.
        if public and not ast.get_docstring(node) and not is_overload(node):
            yield f"{node.name} has no docstring"


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(name_of(path)))
def test_house__file(path: Path) -> None:
    tree = ast.parse(path.read_text(), str(path))
    wrong = [*wrong_imports(name_of(path), tree), *wrong_form(path, tree)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        (("kit", "ids"), ("store", "api"), False),
        (("services", "kinesis", "state"), ("services", "firehose", "state"), False),
        (("services", "kinesis", "state"), ("services", "kinesis", "rules"), True),
        (("store", "lmdb"), ("wire", "models"), False),
        (("gateway", "gateway"), ("services", "kinesis", "service"), True),
        (("consumer",), ("operation",), True),
        (("operation",), ("consumer",), False),
    ],
)
def test_check_import__catches_planted_ones(importer: tuple[str, ...], imported: tuple[str, ...], allowed: bool) -> None:
    assert (check_import(importer, imported) is None) == allowed
