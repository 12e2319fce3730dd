"""The code that a template names by local paths: found, packed, and named anew by where it was uploaded."""

import hashlib
import io
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IGNORED = frozenset({".git", ".hg", ".venv", ".aws-sam", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"})
_PROPERTIES = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Lambda::Function": "Code",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::Lambda::LayerVersion": "Content",
}
_ARCHIVES = (".zip", ".jar")
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Code:
    """Local code of one resource: a folder, or a packed file."""

    resource: str
    type: str
    member: str
    path: Path

    @property
    def is_layer(self) -> bool:
        """Whether it is a layer's content: a change publishes another version of the layer."""
        return self.type.endswith("LayerVersion")


def find(template: dict[str, Any], folder: Path) -> list[Code]:
    """The local code of a template that lies in `folder`. FileNotFoundError names what is not there."""
    shared = ((template.get("Globals") or {}).get("Function") or {}).get("CodeUri")
    found = []
    for name, resource in (template.get("Resources") or {}).items():
        kind = resource.get("Type") if isinstance(resource, dict) else None
        if kind not in _PROPERTIES:
            continue
        properties = resource.setdefault("Properties", {})
        given = properties.get(_PROPERTIES[kind])
        if given is None and kind == "AWS::Serverless::Function" and "InlineCode" not in properties:
            given = shared
        if not isinstance(given, str) or given.startswith(("s3://", "https://")):
            continue
        path = (folder / given).resolve()
        if not path.exists():
            raise FileNotFoundError(f"{name}: {_PROPERTIES[kind]} is {given}, and {path} does not exist")
        found.append(Code(name, kind, _PROPERTIES[kind], path))
    return found


def place(template: dict[str, Any], code: Code, bucket: str, key: str) -> None:
    """Name the uploaded package in the template."""
    value: Any = f"s3://{bucket}/{key}"
    if not code.type.startswith("AWS::Serverless::"):
        value = {"S3Bucket": bucket, "S3Key": key}
    template["Resources"][code.resource]["Properties"][code.member] = value


def pack(path: Path, left_out: frozenset[Path]) -> bytes:
    """The package of a folder (always the same bytes for the same files), or the packed file as it is."""
    if path.is_file() and path.suffix in _ARCHIVES:
        return path.read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(files(path, left_out)):
            entry = zipfile.ZipInfo(str(file.relative_to(path if path.is_dir() else path.parent)), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (file.stat().st_mode & 0o777) << 16
            archive.writestr(entry, file.read_bytes())
    return packed.getvalue()


def digest(package: bytes) -> str:
    """What a package is called."""
    return hashlib.sha256(package).hexdigest()[:32]


def files(path: Path, left_out: frozenset[Path]) -> Iterator[Path]:
    """All files below a path but those that are nobody's code."""
    if path.is_file():
        yield path
        return
    for top, folders, names in os.walk(path):
        folders[:] = [name for name in folders if name not in IGNORED and Path(top, name) not in left_out]
        yield from (Path(top, name) for name in names if not name.endswith(".pyc") and Path(top, name) not in left_out)
