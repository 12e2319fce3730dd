"""Clients of DynamoDB that map objects to items: each plays a suite of its own and compares what it gets."""

import shutil
from collections.abc import Callable

from clients.programs import BUILD, java


def test_java__enhanced_client(run: Callable[..., str]) -> None:
    assert run(*java("headrace.Enhanced", "java-enhanced")) == "ok\n"


def test_javascript__document_client(run: Callable[..., str]) -> None:
    node = shutil.which("node")
    assert node is not None
    assert run(node, BUILD / "javascript" / "document.mjs", "javascript-document") == "ok\n"


def test_go__attribute_values_and_expressions(run: Callable[..., str]) -> None:
    assert run(BUILD / "go" / "dynamodb", "go-dynamodb") == "ok\n"


def test_pynamodb(run: Callable[..., str]) -> None:
    suite = BUILD.parents[1] / "tests" / "clients" / "pynamodb" / "orders.py"
    assert run(BUILD / "pynamodb" / "bin" / "python", suite, "pynamodb-orders") == "ok\n"
