"""What is given to the cluster to run: a jar as it is, or Flink's own program with a Python program in a zip file.

A Python program is named by the property group kinesis.analytics.flink.run.options, as on AWS: `python` is the script, `jarfile`
a jar with connectors, `pyFiles` what the script imports, `pyModule` a module in the place of a script: all of them paths in the
file.
"""

import shutil
import zipfile
from pathlib import Path
from typing import NamedTuple

from headrace.operation import Context
from headrace.services.analytics import limits
from headrace.services.analytics.flink import code, configuration, installation
from headrace.services.analytics.flink.rest import FlinkRefused
from headrace.services.analytics.state import Application

_DRIVER = "org.apache.flink.client.python.PythonDriver"


class Program(NamedTuple):
    """A jar, its main class (none: the jar says), its arguments, and options of Flink's."""

    jar: Path
    entry_class: str
    arguments: list[str]
    options: dict[str, str]


def is_python(application: Application) -> bool:
    """Whether an application's code is a Python program."""
    return application.flink is not None and bool({"python", "pyModule"} & set(configuration.run_options(application.flink)))


def of(ctx: Context, application: Application) -> Program:
    """The program of an application. FlinkRefused where the file does not hold what the properties name."""
    given = code.file(ctx, application)
    return _python(ctx, application, given) if is_python(application) else Program(given, "", [], {})


def _python(ctx: Context, application: Application, given: Path) -> Program:
    assert application.flink is not None
    options = configuration.run_options(application.flink)
    folder = given.with_suffix("")
    if not folder.is_dir():
        _unpack(given, folder)
    python = str(installation.find_python(ctx.settings))
    named = options.get("python")
    arguments = ["-py", str(_inside(folder, named))] if named else ["-pym", options["pyModule"]]
    files = [str(_inside(folder, one.strip())) for one in options.get("pyFiles", "").split(",") if one.strip()]
    # What lies beside the script can be imported where its functions run, too: as where all is done by hand.
    modules = folder.with_suffix(".modules.zip")
    if not modules.exists():
        _make_modules(folder, modules)
    jar = folder.with_suffix(".driver")
    if not jar.exists():
        _make_driver(_jars(folder, options.get("jarfile", "")), jar)
    interpreters = {"python.client.executable": python, "python.executable": python}
    return Program(jar, _DRIVER, arguments, {**interpreters, "python.files": ",".join([*files, str(modules)])})


def _jars(folder: Path, named: str) -> list[Path]:
    return [_inside(folder, one.strip()) for one in named.replace(";", ",").split(",") if one.strip()]


def _inside(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.exists():
        raise FlinkRefused(f"The application's code has no {name}.")
    return path


def _unpack(given: Path, folder: Path) -> None:
    new = folder.with_suffix(".unpacked")
    shutil.rmtree(new, ignore_errors=True)
    try:
        with zipfile.ZipFile(given) as package:
            if sum(entry.file_size for entry in package.infolist()) > limits.CODE_UNPACKED_MAX_BYTES:
                raise FlinkRefused(f"The application's code is larger than {limits.CODE_UNPACKED_MAX_BYTES} bytes when unpacked.")
            package.extractall(new)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise FlinkRefused(f"The application's code is no zip file: {error}") from None
    new.rename(folder)


def _make_modules(folder: Path, target: Path) -> None:
    new = target.with_suffix(".new")
    with zipfile.ZipFile(new, "w") as made:
        for path in sorted(folder.rglob("*.py")):
            made.write(path, path.relative_to(folder))
    new.rename(target)


def _make_driver(jars: list[Path], target: Path) -> None:
    """A jar with the program's own jars in its lib/, where Flink finds them. It adds its program for Python by itself."""
    new = target.with_suffix(".new")
    with zipfile.ZipFile(new, "w", zipfile.ZIP_STORED) as made:
        made.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n")
        for jar in jars:
            made.write(jar, f"lib/{jar.name}")
    new.rename(target)
