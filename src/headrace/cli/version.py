"""`headrace version`."""

import argparse
import importlib.metadata
import json
import platform

from headrace.kit.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none of its own."""


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the version of Headrace and of what it runs on."""
    version = importlib.metadata.version("headrace")
    if arguments.json:
        print(json.dumps({"headrace": version, "python": platform.python_version()}))
    else:
        print(f"headrace {version} (Python {platform.python_version()})")
    return 0
