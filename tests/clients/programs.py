"""Where the clients' programs are, and how they are run."""

import shutil
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "build" / "clients"


def java(*arguments: str, folder: Path = BUILD / "java") -> list[str]:
    """A command that runs one of our Java programs, with the libraries in its folder."""
    found = shutil.which("java")
    assert found is not None
    options = ["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.showDateTime=true"]
    return [found, *options, "-cp", f"{folder}/classes:{folder}/lib/*", *arguments]
