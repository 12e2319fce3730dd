"""The object store for a warehouse: what COPY reads and UNLOAD writes, with the rights that the statement names."""

import re
from functools import partial
from pathlib import Path
from typing import Any

from headrace.kit.errors import AwsError
from headrace.operation import Context

_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.*)", re.S)
# A role for COPY trusts Redshift; a delivery stream's COPY names the stream's own role, which trusts Firehose.
_TRUSTED = ("redshift.amazonaws.com", "firehose.amazonaws.com")


class AccessDenied(Exception):
    """The object store refuses; the text is told to the user."""


def acting(ctx: Context, role: str, access_key: list[str]) -> Context:
    """The context with the rights of a role or of keys. AccessDenied when they are not good."""
    if role:
        return ctx.at(principal=_assumed(ctx, role))
    key, secret, token = (*access_key, "", "", "")[:3]
    if not key:
        raise AccessDenied("COPY and UNLOAD need IAM_ROLE, CREDENTIALS or ACCESS_KEY_ID")
    found = ctx.snapshot(lambda inner: inner.ports.authority.credentials(inner, key))
    if found is None or found.secret_access_key != secret or (found.session_token or "") != token:
        raise AccessDenied("The AWS Access Key Id you provided does not exist in our records.")
    # In the key's own account: there its owner may be root, here not.
    return ctx.at(account=found.principal.account, principal=found.principal)


def _assumed(ctx: Context, role: str) -> Any:
    refused = ""
    for service in _TRUSTED:
        try:
            return ctx.ports.authority.assume(ctx, role, "RedshiftIamRoleSession", service).principal
        except AwsError as error:
            refused = refused or error.message
    raise AccessDenied(f"Not authorized to assume the role {role}: {refused}")


def _split(url: str) -> tuple[str, str]:
    match = _URL.fullmatch(url)
    if not match:
        raise AccessDenied(f"{url} is not the address of an object")
    return match[1], match[2]


def _check(scope: Context, action: str, bucket: str, key: str | None) -> None:
    resource = f"arn:aws:s3:::{bucket}" + (f"/{key}" if key is not None else "")
    if not scope.ports.authority.allows(scope, scope.principal, action, resource):
        raise AccessDenied(f"Access Denied: {scope.principal.arn} is not authorized to perform {action} on {resource}")


def fetch(ctx: Context, *, urls: list[dict[str, Any]], role: str, access_key: list[str], folder: str) -> list[dict[str, Any]]:
    """Bring objects into the folder: exact ones, or all behind a prefix. AccessDenied, LookupError."""
    scope = acting(ctx, role, access_key)
    found: list[dict[str, Any]] = []
    for entry in urls:
        bucket, key = _split(entry["url"])
        for name in [key] if entry["exact"] else _listed(scope, bucket, key):
            _check(scope, "s3:GetObject", bucket, name)
            path = Path(folder) / f"{len(list(Path(folder).iterdir()))}-{len(found)}"
            try:
                size = _download(scope, bucket, name, path)
            except (LookupError, AwsError) as error:
                if entry["exact"] and not entry["mandatory"]:
                    continue
                raise LookupError(f"The object s3://{bucket}/{name} cannot be read: {error}") from error
            found.append({"url": f"s3://{bucket}/{name}", "path": str(path), "size_bytes": size})
    return found


def _listed(scope: Context, bucket: str, prefix: str) -> list[str]:
    _check(scope, "s3:ListBucket", bucket, None)
    return [item.key for item in scope.ports.objects.list(scope, bucket, prefix) if not item.key.endswith("/")]


def _download(scope: Context, bucket: str, key: str, path: Path) -> int:
    size = 0
    with path.open("wb") as file:
        for chunk in scope.ports.objects.open(scope, bucket, key):
            size += file.write(chunk)
    return size


def store(ctx: Context, *, objects: list[dict[str, str]], role: str, access_key: list[str], overwrite: bool, clean: str) -> None:
    """Put files as objects. AccessDenied when the rights are missing, or when an object is there and may not be replaced."""
    scope = acting(ctx, role, access_key)
    targets = [(*_split(entry["url"]), Path(entry["path"])) for entry in objects]
    for bucket, key, _ in targets:
        _check(scope, "s3:PutObject", bucket, key)
        if not overwrite and scope.ports.objects.head(scope, bucket, key) is not None:
            raise AccessDenied(f"Specified unload destination s3://{bucket}/{key} on S3 is not empty. Consider ALLOWOVERWRITE.")
    if clean:
        bucket, prefix = _split(clean)
        for name in _listed(scope, bucket, prefix):
            _check(scope, "s3:DeleteObject", bucket, name)
            scope.ports.objects.delete(scope, bucket, name)
    for bucket, key, path in targets:
        with path.open("rb") as file:
            scope.ports.objects.put(scope, bucket, key, iter(partial(file.read, 1 << 20), b""))
