"""Every setting of the server: one field here is one flag and one environment variable.

The field `redshift_port` is the flag `--redshift-port` and the variable `HEADRACE_REDSHIFT_PORT`. A flag wins over the
variable, the variable over the default. `docs/settings.md` is made from this file.
"""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def _setting(default: Any, meaning: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"meaning": meaning, "secret": secret})


@dataclass(frozen=True)
class Settings:
    """What the server is told when it starts."""

    host: str = _setting("127.0.0.1", "The address to listen on. Loopback unless you say otherwise.")
    port: int = _setting(4566, "The port of every AWS protocol.")
    data: Path = _setting(Path("data"), "The folder that keeps everything.")
    region: str = _setting("us-east-1", "The region that `headrace env` prints and that functions see.")
    account_id: str = _setting("000000000000", "The account of the root credentials; 12 digits.")
    root_access_key_id: str = _setting("", "Access key id of the root credentials; generated where not given.")
    root_secret_access_key: str = _setting("", "Secret of the root credentials; generated where not given.", secret=True)
    store: str = _setting("lmdb", "Where state is kept: `lmdb` (durable) or `memory` (lost at exit; for tests).")
    store_size_max_gib: int = _setting(256, "The most that the embedded store may grow to, in GiB.")
    blobs_url: str = _setting(
        "", "An S3-compatible bucket for large data, as https://KEY:SECRET@HOST/BUCKET; empty: a folder.", secret=True
    )
    redshift_port: int = _setting(5439, "The port of the first warehouse; further ones take the next free ports.")
    redshift_memory_mib: int = _setting(1024, "The memory that one warehouse may use, in MiB.")
    lambda_concurrency: int = _setting(16, "The most execution environments of functions at one time.")
    lambda_idle_seconds: int = _setting(300, "An execution environment that was idle for so long is stopped.")
    lambda_network: str = _setting(
        "server", "What functions may reach: `server` (Headrace alone) or `host` (all the host reaches)."
    )
    flink_url: str = _setting("", "The REST address of a Flink cluster that runs Flink applications; empty: one here for each.")
    flink_home: str = _setting(
        "", "The Flink distribution of clusters that are started here; empty: FLINK_HOME's, or the installed."
    )
    flink_python: str = _setting(
        "", "The Python with apache-flink that runs PyFlink programs; empty: the server's, if it has it."
    )
    flink_memory_mib: int = _setting(1024, "The memory of a Flink application's task manager here, in MiB.")
    lambda_debug: str = _setting(
        "", "Functions that wait for a debugger when they start, as NAME:PORT with commas between. For development."
    )
    video_ice_servers: str = _setting(
        "",
        "STUN and TURN servers for WebRTC, with spaces between: stun:HOST:PORT, turn:USER:PASSWORD@HOST:PORT?transport=udp.",
        secret=True,
    )
    smtp_relay: str = _setting(
        "", "Relay mail to smtp://[USER:PASSWORD@]HOST:PORT (smtps:// for TLS); empty: keep it here.", secret=True
    )
    tls_certificate: str = _setting("", "Path of a PEM certificate: serve HTTPS.")
    tls_key: str = _setting("", "Path of the certificate's PEM key.")
    body_size_max_mib: int = _setting(5120, "The largest request body that is streamed (S3 objects, parts), in MiB.")
    require_signatures: bool = _setting(True, "Verify the signature of every request. Only tests of tools turn it off.")
    enforce_limits: bool = _setting(
        False, "Hold streams' shards, and tables' throughput, to AWS's limits, for tests of what a client does there."
    )
    test_clock: bool = _setting(False, "Let `POST /_headrace/clock` move the server's clock. For tests.")
    log_level: str = _setting("info", "What the server logs: `error`, `warning`, `info` or `debug`.")

    @classmethod
    def load(cls, flags: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> "Settings":
        """Settings from flags (None: not given), then the environment, then the defaults. ValueError says which is wrong."""
        environment = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for item in dataclasses.fields(cls):
            given = flags.get(item.name)
            if given is None:
                given = environment.get(variable(item.name))
            if given is not None:
                values[item.name] = _convert(item.name, given, item.default)
        return cls(**values)

    def variables(self) -> dict[str, str]:
        """All of them as environment variables, for a process that is to have the same: secrets stand on no command line."""
        return {variable(item.name): str(getattr(self, item.name)) for item in dataclasses.fields(self)}


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return "HEADRACE_" + name.upper()


def _convert(name: str, given: Any, default: Any) -> Any:
    if isinstance(default, bool):
        return _boolean(name, given)
    if isinstance(default, int):
        try:
            return int(given)
        except ValueError:
            raise ValueError(f"{variable(name)} must be a whole number, not {given!r}") from None
    return Path(given) if isinstance(default, Path) else str(given)


def _boolean(name: str, given: Any) -> bool:
    if isinstance(given, bool):
        return given
    text = str(given).lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off", ""):
        return False
    raise ValueError(f"{variable(name)} must be true or false, not {given!r}")
