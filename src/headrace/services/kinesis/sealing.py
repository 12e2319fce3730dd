"""Encryption of records at rest: what lies on the log of an encrypted stream is sealed with AES-256-GCM.

A stream has a data key for each time its encryption was started, in a row of the store, wrapped with the master key: a file in
the data folder that only its owner reads. A process never uses a data key itself, but one derived from it with a salt of its own,
and counts its nonces: so none comes twice, whoever writes and however much. docs/decisions/0014 says what this protects against.

    ("kinesis", "data key", id)  → DataKey

A sealed value: what stays readable (its mark and time of arrival) | id (8) | salt (16) | count (8) | ciphertext with its tag.
All before the ciphertext, and the log that it lies on, are authenticated with it. The cipher is loaded when the first sealed
stream is used.
"""

import contextlib
import hashlib
import hmac
import importlib
import itertools
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from headrace.layers.records import Records
from headrace.services.kinesis import errors, limits
from headrace.store.api import ReadTransaction, Transaction

MASTER_KEY_FILE = "master.key"
KEY_SIZE_BYTES = 32

_ID, _SALT, _COUNT = 8, 16, 8
_NAMED = _ID + _SALT
_NONCE_START = b"\0\0\0\0"


class DataKey(msgspec.Struct):
    """A stream's key, wrapped: nonce (12), ciphertext with its tag."""

    wrapped: bytes


DATA_KEYS = Records(("kinesis", "data key"), DataKey)


class _Writer(NamedTuple):
    """What this process seals with under one data key."""

    cipher: Any
    head: bytes
    counts: Iterator[int]


class Seals:
    """The keys that this process has used, and where the master key lies."""

    def __init__(self) -> None:
        self._folder = Path()
        self._data_keys: dict[bytes, bytes] = {}
        self._readers: dict[bytes, Any] = {}
        self._writers: dict[bytes, _Writer] = {}

    def keep_in(self, folder: Path) -> None:
        """Say where the data folder is; what was used before is forgotten."""
        for known in (self._data_keys, self._readers, self._writers):
            known.clear()
        self._folder = folder

    def prepare(self) -> None:
        """Have a master key and the cipher, before a transaction needs them."""
        path = self._folder / MASTER_KEY_FILE
        if not path.exists():
            _make_master_key(path)
        _cipher(self._master_key())

    def make(self, tx: Transaction) -> str:
        """A new data key; its id in hexadecimal digits."""
        key_id, nonce = secrets.token_bytes(_ID), secrets.token_bytes(12)
        wrapped = nonce + _cipher(self._master_key()).encrypt(nonce, secrets.token_bytes(KEY_SIZE_BYTES), key_id)
        DATA_KEYS.put(tx, DataKey(wrapped), key_id)
        return key_id.hex()

    def seal(self, tx: ReadTransaction, key: str, shard_log: bytes, readable: bytes, secret: bytes) -> bytes:
        """`secret` sealed under a data key (its id), behind what stays readable."""
        key_id = bytes.fromhex(key)
        writer = self._writers.get(key_id)
        if writer is None:
            salt = secrets.token_bytes(_SALT)
            made = _Writer(_cipher(_derived(self._data_key(tx, key_id), salt)), key_id + salt, itertools.count())
            writer = self._writers.setdefault(key_id, made)
        count = next(writer.counts).to_bytes(_COUNT, "big")
        header = readable + writer.head + count
        sealed: bytes = writer.cipher.encrypt(_NONCE_START + count, secret, shard_log + header)
        return header + sealed

    def open(self, tx: ReadTransaction, shard_log: bytes, value: bytes, readable_bytes: int) -> bytes:
        """What was sealed in a value; KMSAccessDeniedException when it, its key or its log is not what it was."""
        header = value[: readable_bytes + _NAMED + _COUNT]
        named = header[readable_bytes : readable_bytes + _NAMED]
        reader = self._readers.get(named)
        if reader is None:
            reader = _cipher(_derived(self._data_key(tx, named[:_ID]), named[_ID:]))
            if len(self._readers) >= limits.DATA_KEYS_CACHED_MAX:
                self._readers.clear()
            self._readers[named] = reader
        return _opened(reader, _NONCE_START + header[-_COUNT:], value[len(header) :], shard_log + header, "A record")

    def _data_key(self, tx: ReadTransaction, key_id: bytes) -> bytes:
        known = self._data_keys.get(key_id)
        if known is not None:
            return known
        row = DATA_KEYS.get(tx, key_id)
        if row is None:
            raise errors.KMSNotFoundException(f"The data key {key_id.hex()} is not here.")
        key = _opened(_cipher(self._master_key()), row.wrapped[:12], row.wrapped[12:], key_id, "The stream's key")
        if len(self._data_keys) >= limits.DATA_KEYS_CACHED_MAX:
            self._data_keys.clear()
            self._writers.clear()
        self._data_keys[key_id] = key
        return key

    def _master_key(self) -> bytes:
        path = self._folder / MASTER_KEY_FILE
        try:
            key = path.read_bytes()
        except OSError as error:
            raise errors.KMSNotFoundException(f"The master key can't be read: {error}") from None
        if len(key) != KEY_SIZE_BYTES:
            raise errors.KMSInvalidStateException(f"{path} does not hold a master key of {KEY_SIZE_BYTES} bytes.")
        return key


def forget(tx: Transaction, keys: list[str]) -> None:
    """Remove data keys: what was sealed with them can't be read any more, wherever copies of it are."""
    for key in keys:
        DATA_KEYS.delete(tx, bytes.fromhex(key))


def _cipher(key: bytes) -> Any:
    return importlib.import_module("cryptography.hazmat.primitives.ciphers.aead").AESGCM(key)


def _derived(key: bytes, salt: bytes) -> bytes:
    return hmac.digest(key, b"headrace kinesis records\0" + salt, hashlib.sha256)


def _opened(cipher: Any, nonce: bytes, sealed: bytes, about: bytes, what: str) -> bytes:
    # The cipher's own error has a name that only the loaded library knows.
    try:
        found: bytes = cipher.decrypt(nonce, sealed, about)
    except Exception as error:
        if type(error).__name__ != "InvalidTag":
            raise
        raise errors.KMSAccessDeniedException(
            f"{what} can't be decrypted: {MASTER_KEY_FILE} is not the one it was encrypted with, or the store was changed."
        ) from None
    return found


def _make_master_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(KEY_SIZE_BYTES))
        file.flush()
        os.fsync(file.fileno())
    # Another process may make one at this moment: the first file stays.
    with contextlib.suppress(FileExistsError):
        os.link(temporary, path)
    temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


SEALS = Seals()
