"""The users of a cluster: kept in one small file that is replaced as a whole, with the md5 hashes of their passwords."""

import json
import os
import re
import threading
from pathlib import Path
from typing import Any

from headrace.services.redshift.engine.failures import SqlError, unsupported
from headrace.services.redshift.engine.passwords import md5_hash
from headrace.services.redshift.engine.session import Result

_STATEMENT = re.compile(
    r"""(?is)^(?P<verb>create|alter|drop)\s+user\s+(?:if\s+exists\s+)?(?P<name>"[^"]+"|[\w$:.@-]+)\s*(?:with\s+)?(?P<rest>.*)$"""
)
_PASSWORD = re.compile(r"(?is)^password\s+(?:'(?P<text>(?:[^']|'')*)'|(?P<disable>disable))\s*(?P<rest>.*)$")


class Users:
    """Who may connect."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.master = ""
        self._master_hash = ""
        self._users: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else {}

    def set_master(self, name: str, hashed: str) -> None:
        """The master user, whose password the server keeps."""
        self.master, self._master_hash = name, hashed

    def hashes(self, name: str) -> list[str]:
        """The md5 hashes with which a user may come in."""
        if name == self.master:
            return [self._master_hash]
        hashed = self._users.get(name, {}).get("md5")
        return [hashed] if hashed else []

    def names(self) -> list[str]:
        """Every user."""
        return [self.master, *self._users]

    def run(self, text: str) -> Result:
        """CREATE, ALTER and DROP USER."""
        match = _STATEMENT.match(text)
        if not match:
            raise SqlError("42601", "syntax error in a statement on users")
        verb, name = match["verb"].lower(), match["name"].strip('"').lower()
        password, rest = _password(match["rest"], name)
        if rest and not re.fullmatch(r"(?is)((no)?createdb|(no)?createuser|\s|;)*", rest):
            raise unsupported(f"{verb.upper()} USER … {rest[:40]}")
        with self._lock:
            exists = name in self._users or name == self.master
            if verb == "create":
                if exists:
                    raise SqlError("42710", f'user "{name}" already exists')
                self._users[name] = {"md5": password}
            elif not exists:
                raise SqlError("42704", f'user "{name}" does not exist')
            elif name == self.master:
                raise unsupported("changing the master user by SQL (use ModifyCluster)")
            elif verb == "drop":
                del self._users[name]
            else:
                self._users[name]["md5"] = password
            self._save()
        return Result(f"{verb.upper()} USER")

    def _save(self) -> None:
        temporary = self._path.with_suffix(".new")
        with temporary.open("w") as file:
            json.dump(self._users, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)


def _password(text: str, name: str) -> tuple[str | None, str]:
    match = _PASSWORD.match(text)
    if not match:
        return None, text.strip()
    if match["disable"]:
        return None, match["rest"].strip()
    given = match["text"].replace("''", "'")
    return given[3:] if re.fullmatch(r"md5[0-9a-f]{32}", given) else md5_hash(name, given), match["rest"].strip()
