"""The table of settings in docs/settings.md, made from the settings themselves: python -m headrace.cli.settings_table."""

import dataclasses
import sys

from headrace.kit.settings import Settings, variable


def table() -> str:
    """The whole page."""
    rows = [
        "# Settings\n",
        "Each setting is a flag of `headrace up` and an environment variable. A flag wins over the variable, the variable",
        "over the default. This page is made by `python -m headrace.cli.settings_table`.\n",
        "| flag | variable | default | meaning |",
        "|---|---|---|---|",
    ]
    for item in dataclasses.fields(Settings):
        default = "" if item.default == "" else f"`{item.default}`"
        flag = "--" + item.name.replace("_", "-")
        rows.append(f"| `{flag}` | `{variable(item.name)}` | {default} | {item.metadata['meaning']} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
