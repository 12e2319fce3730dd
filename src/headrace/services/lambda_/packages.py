"""Code packages: checked when they come in, kept as blobs, and unpacked once into a folder named by their content."""

import contextlib
import hashlib
import io
import os
import shutil
import stat
import threading
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from headrace.operation import Context
from headrace.services.lambda_ import limits
from headrace.services.lambda_.errors import InvalidParameterValueException
from headrace.services.lambda_.state import Code
from headrace.store.blobs import Blobs

_CHUNK_BYTES = 1 << 20
_unpacking = threading.Lock()


def take(ctx: Context, source: Mapping[str, Any]) -> Code:
    """Check a package (ZipFile, or S3Bucket and S3Key), keep it, and unpack it. Reads and writes: outside of transactions."""
    data = _bytes_of(ctx, source)
    digest = hashlib.sha256(data).hexdigest()
    _unpack(data, folder_of(ctx, digest))
    return Code(blobs(ctx).put(data).id, len(data), digest)


def ready(ctx: Context, code: Code) -> Path:
    """The folder with the unpacked package; made again when it is gone."""
    folder = folder_of(ctx, code.digest)
    if not folder.is_dir():
        _unpack(blobs(ctx).get(code.blob_id), folder)
    return folder


def ready_layers(ctx: Context, layers: Iterable[Code]) -> Path | None:
    """One folder with the packages laid over each other in order, as functions see it below /opt; None without any."""
    codes = list(layers)
    if not codes:
        return None
    digest = hashlib.sha256("".join(code.digest for code in codes).encode()).hexdigest()
    folder = folder_of(ctx, f"layers-{digest}")
    if not folder.is_dir():
        parts = [ready(ctx, code) for code in codes]

        def lay(target: Path) -> None:
            for part in parts:
                _overlay(part, target)

        _make(folder, lay)
    return folder


def blobs(ctx: Context) -> Blobs:
    """The packages themselves."""
    return ctx.blobs.space("lambda")


def folder_of(ctx: Context, digest: str) -> Path:
    """Where a package is unpacked to."""
    return ctx.settings.data.absolute() / "lambda" / "code" / digest


def _bytes_of(ctx: Context, source: Mapping[str, Any]) -> bytes:
    if source.get("ImageUri"):
        raise InvalidParameterValueException("Container images are not supported: give a ZipFile, or S3Bucket and S3Key.")
    if source.get("ZipFile") is not None:
        data = bytes(source["ZipFile"])
    else:
        bucket, key = source.get("S3Bucket"), source.get("S3Key")
        if not bucket or not key:
            raise InvalidParameterValueException("Please provide a source for function code.")
        try:
            info = ctx.ports.objects.head(ctx, bucket, key)
        except LookupError:
            info = None
        if info is None:
            raise InvalidParameterValueException(
                "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."
            )
        if info.size_bytes > limits.CODE_UNZIPPED_BYTES_MAX:
            raise InvalidParameterValueException(f"Unzipped size must be smaller than {limits.CODE_UNZIPPED_BYTES_MAX} bytes")
        data = ctx.ports.objects.get(ctx, bucket, key)
    if not data:
        raise InvalidParameterValueException("Uploaded file must be a non-empty zip")
    return data


def _unpack(data: bytes, folder: Path) -> None:
    if folder.is_dir():
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            _check(package.infolist())
            _make(folder, lambda target: _extract(package, target))
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, RuntimeError, NotImplementedError):
        raise InvalidParameterValueException(
            "Could not unzip uploaded file. Please check your file, then try to upload again."
        ) from None


def _check(entries: list[zipfile.ZipInfo]) -> None:
    if not entries:
        raise InvalidParameterValueException("Uploaded file must be a non-empty zip")
    size_bytes = sum(entry.file_size for entry in entries)
    if size_bytes > limits.CODE_UNZIPPED_BYTES_MAX or len(entries) > limits.CODE_FILES_MAX:
        raise InvalidParameterValueException(f"Unzipped size must be smaller than {limits.CODE_UNZIPPED_BYTES_MAX} bytes")
    for entry in entries:
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in entry.filename:
            raise InvalidParameterValueException(f"The package holds a path that leads out of it: {entry.filename[:200]}")


def _extract(package: zipfile.ZipFile, target: Path) -> None:
    """Write files and folders, never more bytes than were announced. Links are written as links: the sandbox holds them."""
    left_bytes = limits.CODE_UNZIPPED_BYTES_MAX
    links = []
    for entry in package.infolist():
        path = target / entry.filename
        mode = entry.external_attr >> 16
        if entry.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if stat.S_ISLNK(mode):
            links.append((path, package.read(entry)[:4096]))
            continue
        with package.open(entry) as source, path.open("wb") as file:
            while chunk := source.read(_CHUNK_BYTES):
                left_bytes -= len(chunk)
                if left_bytes < 0:
                    raise InvalidParameterValueException(
                        f"Unzipped size must be smaller than {limits.CODE_UNZIPPED_BYTES_MAX} bytes"
                    )
                file.write(chunk)
        path.chmod(0o755 if mode & 0o111 else 0o644)
    # Links come last: nothing can be written through one.
    for path, where in links:
        with contextlib.suppress(FileExistsError):
            path.symlink_to(os.fsdecode(where))


def _overlay(part: Path, target: Path) -> None:
    """Copy a package over another. A link that lies where something goes is removed first: nothing is written through it."""
    for top, folders, files in os.walk(part):
        here = target / Path(top).relative_to(part)
        real = [name for name in folders if not Path(top, name).is_symlink()]
        for name in real:
            if (here / name).is_symlink() or (here / name).is_file():
                (here / name).unlink()
            (here / name).mkdir(exist_ok=True)
        for name in [*files, *(name for name in folders if name not in real)]:
            if (here / name).is_dir() and not (here / name).is_symlink():
                shutil.rmtree(here / name)
            (here / name).unlink(missing_ok=True)
            shutil.copy2(Path(top, name), here / name, follow_symlinks=False)


def _make(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder beside, then move it to its name: it is there whole, or not at all."""
    with _unpacking:
        if folder.is_dir():
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = folder.with_name(f".{folder.name}.{os.getpid()}")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        beside.chmod(0o755)
        try:
            fill(beside)
            for path in beside.rglob("*"):
                if path.is_dir() and not path.is_symlink():
                    path.chmod(0o755)
            beside.rename(folder)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
