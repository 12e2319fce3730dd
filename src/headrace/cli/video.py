"""`headrace video`: a stream's pictures, for people."""

import argparse

from headrace.cli import video_play, video_put
from headrace.cli.main import add_settings
from headrace.kit.settings import Settings

ACTIONS = {
    "put": ("send a file or a camera to a stream", video_put.add_put_arguments, video_put.put),
    "play": ("play a stream in a browser", video_play.add_play_arguments, video_play.play),
    "clip": ("write a range of time as an MP4 file", video_play.add_clip_arguments, video_play.clip),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One action, with what it takes."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (meaning, add, _) in ACTIONS.items():
        action = actions.add_parser(name, help=meaning, description=meaning[0].upper() + meaning[1:] + ".")
        add(action)
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON for programs")
        add_settings(action, argparse.SUPPRESS)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run the action; its exit status."""
    return ACTIONS[arguments.action][2](arguments, settings)
