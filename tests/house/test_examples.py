"""The examples in the pages run, in their order, against a real server.

A page is one shell script: its blocks run in one shell, in a folder of its own that has the examples in it. A block whose first
line is a comment with a file's name is that file. A block after a comment `not run: WHY` is left out.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from conftest import ROOT_KEY, ROOT_SECRET, HeadraceServer

ROOT = Path(__file__).parents[2]
NOT_RUN_MAX = 8
BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<why>.+?) -->\n+)?```(?P<language>[a-z]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
FILE_NAME = re.compile(r"(?:#|--) ([\w.-]+\.\w+)\n")
RUNNERS = {"sh": "", "python": "python", "sql": None, "yaml": None}


class Block(NamedTuple):
    """A fenced block of a page."""

    line: int
    language: str
    text: str
    not_run: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(text.count("\n", 0, found.start("language")) + 1, found["language"], found["text"], found["why"] or "")
        for found in BLOCK.finditer(text)
        if found["language"] in RUNNERS
    ]


PAGES = [
    page
    for page in (
        ROOT / "README.md",
        *sorted((ROOT / "docs" / "guides").glob("*.md")),
        *sorted((ROOT / "examples").glob("*/README.md")),
        *sorted((ROOT / "src").glob("headrace/services/*/README.md")),
    )
    if any(not block.not_run for block in blocks(page))
]


def script(page: Path) -> str:
    """The shell script that does what a reader of the page would do."""
    lines = []
    for block in blocks(page):
        if block.not_run:
            continue
        lines.append(f"echo '### {page.name}:{block.line}'")
        if named := FILE_NAME.match(block.text):
            lines.append(f"cat > {named[1]} <<'END_OF_BLOCK'\n{block.text}END_OF_BLOCK")
        elif block.language == "sh":
            lines.append(block.text)
        else:
            runner = RUNNERS[block.language]
            assert runner, f"{page.name}:{block.line}: say in a comment which file this is"
            lines.append(f"{runner} <<'END_OF_BLOCK'\n{block.text}END_OF_BLOCK")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def examples_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadraceServer]:
    """A server of the pages' own: they use the names that a reader would."""
    running = HeadraceServer(tmp_path_factory.mktemp("examples") / "data").start()
    yield running
    running.stop()


def environment(server: HeadraceServer, folder: Path) -> dict[str, str]:
    """What a reader has who activated `.venv` and started the server."""
    programs = folder / "bin"
    programs.mkdir()
    python = shlex.quote(sys.executable)
    aws = shlex.quote(str(Path(sys.executable).parent / "aws"))
    for name, command in {
        "headrace": f"{python} -m headrace.cli.main",
        "python": python,
        "pytest": f"{python} -m pytest",
        "aws": f"{python} {aws}",
    }.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HEADRACE_", "PYTEST_", "COV_"))}
    return {
        **kept,
        "HEADRACE_DATA": str(server.data),
        "HEADRACE_PORT": str(server.port),
        "HEADRACE_ROOT_ACCESS_KEY_ID": ROOT_KEY,
        "HEADRACE_ROOT_SECRET_ACCESS_KEY": ROOT_SECRET,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "HOME": str(folder),
        "AWS_PAGER": "",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page__runs_as_it_stands(page: Path, examples_server: HeadraceServer, tmp_path: Path) -> None:
    text = script(page)
    if "psql " in text and not shutil.which("psql"):
        pytest.skip("psql is not installed")
    folder = tmp_path / "reader"
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    ran = subprocess.run(
        ["bash", "-e", "-c", text],
        cwd=folder,
        env=environment(examples_server, tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    print(ran.stdout)
    assert ran.returncode == 0, f"{page.name}: the last block failed\n{ran.stdout}"


def test_blocks__few_are_not_run() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("guides/*.md"), *ROOT.glob("examples/*/README.md")]
    left_out = [f"{page.name}:{block.line}: {block.not_run}" for page in pages for block in blocks(page) if block.not_run]
    assert len(left_out) <= NOT_RUN_MAX, left_out
