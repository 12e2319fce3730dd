"""The docs say what is so: settings, links, and the commands that they name."""

import re
from pathlib import Path

import pytest

from headrace.cli.main import COMMANDS
from headrace.cli.settings_table import table

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md"), *ROOT.glob("src/**/*.md")]


def test_settings__page_is_made_from_the_settings() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == table()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links__lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands__exist(page: Path) -> None:
    for command in re.findall(r"(?:^|`|bin/)headrace ([a-z]+)", page.read_text(), re.MULTILINE):
        assert command in COMMANDS, command
