"""The program `headrace`: finds the command, and gives it the settings."""

import argparse
import dataclasses
import importlib
import sys
from collections.abc import Sequence

from headrace.kit.settings import Settings, variable

# Commands are modules of this package with `HELP`, `add_arguments(parser)` and `run(arguments, settings) -> exit status`. They
# are imported when called, so that each starts as fast as what it needs.
COMMANDS = {
    "up": "start the server",
    "watch": "deploy a template, and take over what changes in its folder",
    "demo": "run the bank example from end to end",
    "stream": "show streams, follow one, or put lines into one",
    "table": "look into tables, and move their items",
    "video": "play a video stream, or write a clip of it",
    "analyze": "run SQL over a stream, and print its rows as they come",
    "invoke": "run a function, and print its answer and its log",
    "logs": "show a function's log, or follow it",
    "bill": "show what functions used, and what the same costs at AWS",
    "sql": "show a SELECT over the streams within an application, live",
    "env": "print the exports that point the AWS CLI and SDKs here",
    "status": "show what runs and how it flows",
    "doctor": "say what is wrong and how to mend it",
    "version": "print the version",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = next((word for word in given if not word.startswith("-")), "")
    parser = _parser(name)
    parsed = parser.parse_args(given)
    if not parsed.command:
        parser.print_help()
        return 2
    flags = {item.name: getattr(parsed, item.name, None) for item in dataclasses.fields(Settings)}
    try:
        settings = Settings.load(flags)
    except ValueError as error:
        print(f"headrace: {error}", file=sys.stderr)
        return 2
    try:
        status: int = importlib.import_module(f"headrace.cli.{parsed.command}").run(parsed, settings)
    except KeyboardInterrupt:
        return 130
    return status


def _parser(called: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headrace", description="A self-hosted serverless stream platform that speaks the AWS wire protocols."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, meaning in COMMANDS.items():
        command = commands.add_parser(name, help=meaning, description=meaning[0].upper() + meaning[1:] + ".")
        command.add_argument("--json", action="store_true", help="print JSON for programs")
        if name == called:
            importlib.import_module(f"headrace.cli.{name}").add_arguments(command)
        add_settings(command)
    return parser


def add_settings(parser: argparse.ArgumentParser, default: object = None) -> None:
    """Let a command take every setting as a flag."""
    group = parser.add_argument_group("settings", "Each is an environment variable as well.")
    for item in dataclasses.fields(Settings):
        flag = "--" + item.name.replace("_", "-")
        text = f"{item.metadata['meaning']} [{variable(item.name)}]".replace("%", "%%")
        if isinstance(item.default, bool):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=default, help=text)
        else:
            group.add_argument(flag, metavar=item.name.rsplit("_", 1)[-1].upper(), default=default, help=text)


if __name__ == "__main__":
    sys.exit(main())
