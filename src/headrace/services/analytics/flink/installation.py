"""Where Flink and Java are on this machine: looked for when an application is to run, and never before."""

import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from headrace.kit.settings import Settings

_HOW = (
    "Start Headrace with --flink-url for a cluster of yours, with --flink-home for a Flink distribution, or install one: "
    "pip install 'headrace[flink]'. See docs/guides/flink.md."
)


class NotInstalled(Exception):
    """There is no Flink here, or no Java; the text says what to do."""


class Installation(NamedTuple):
    """A Flink distribution: the folder of its jars, its version (1.20.5), and the program that runs them."""

    jars: Path
    version: str
    java: Path

    @property
    def release(self) -> str:
        """1.20 of 1.20.5."""
        return ".".join(self.version.split(".")[:2])


def find(settings: Settings) -> Installation:
    """The distribution that is named in the settings, that FLINK_HOME names, or that was installed; NotInstalled."""
    jars = next((found for home in _homes(settings) if (found := _jars(home)) is not None), None)
    if jars is None:
        named = f" at {settings.flink_home}" if settings.flink_home else ""
        raise NotInstalled(f"There is no Flink{named} to run applications with. {_HOW}")
    java = _java()
    if java is None:
        raise NotInstalled("Flink needs Java 11 or 17: install one, or name it in JAVA_HOME.")
    version = re.sub(r"^flink-dist-|\.jar$", "", next(jars.glob("flink-dist-*.jar")).name)
    return Installation(jars, version, java)


def find_python(settings: Settings) -> Path:
    """The Python that has apache-flink; NotInstalled. It is not resolved: a link may be what makes it a virtual environment's."""
    if settings.flink_python:
        python = Path(settings.flink_python).absolute()
        if python.exists():
            return python
        raise NotInstalled(f"There is no Python at {python} to run PyFlink programs with.")
    if importlib.util.find_spec("pyflink") is None or importlib.util.find_spec("py4j") is None:
        raise NotInstalled(
            "PyFlink programs need a Python with apache-flink: pip install apache-flink==1.20.5 (into an environment of its own, "
            "best), and name it with --flink-python. See docs/guides/flink.md."
        )
    return Path(sys.executable)


def python_jar(found: Installation) -> Path:
    """Flink's program that runs Python's; NotInstalled."""
    for jar in (found.jars.parent / "opt").glob("flink-python-*.jar"):
        return jar
    raise NotInstalled(f"The Flink distribution at {found.jars.parent} has no opt/flink-python jar: PyFlink programs need it.")


def python_folders(python: Path) -> list[Path]:
    """The folders that a Python needs to see: its environment, and what that is made of."""
    return sorted({python.parent.parent, python.resolve().parent.parent})


def fits(runtime: str, installation: Installation) -> bool:
    """Whether FLINK-1_19, say, can be run: by a distribution of the same major version."""
    return runtime.removeprefix("FLINK-").split("_")[0] == installation.version.split(".", maxsplit=1)[0]


def is_same(runtime: str, installation: Installation) -> bool:
    """Whether the distribution is of the very release that the runtime environment names."""
    return runtime.removeprefix("FLINK-").replace("_", ".") == installation.release


def _homes(settings: Settings) -> list[Path]:
    if settings.flink_home:
        return [Path(settings.flink_home)]
    homes = [Path(os.environ["FLINK_HOME"])] if os.environ.get("FLINK_HOME") else []
    found = importlib.util.find_spec("pyflink")
    if found is not None and found.submodule_search_locations:
        homes.append(Path(found.submodule_search_locations[0]))
    return homes


def _jars(home: Path) -> Path | None:
    for folder in (home / "lib", home / "pyflink" / "lib", home):
        if any(folder.glob("flink-dist-*.jar")):
            return folder.resolve()
    return None


def _java() -> Path | None:
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").exists():
        return (Path(home) / "bin" / "java").resolve()
    found = shutil.which("java")
    return Path(found).resolve() if found else None
