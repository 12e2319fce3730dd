"""UNLOAD: a query's rows become objects in the object store, written by the server with the rights that the statement names."""

import json
from pathlib import Path
from typing import Any

from headrace.services.redshift.engine import plan, scan
from headrace.services.redshift.engine.control import Channel, RemoteError
from headrace.services.redshift.engine.copying import Options, read_unload
from headrace.services.redshift.engine.failures import SqlError, syntax, unsupported
from headrace.services.redshift.engine.loading import FETCH_TIMEOUT_S, staging_folder
from headrace.services.redshift.engine.session import Result, Session

_KNOWN = {"GZIP", "MANIFEST", "HEADER", "ALLOWOVERWRITE", "CLEANPATH", "ADDQUOTES"}


def _format(options: Options) -> tuple[str, str]:
    """(DuckDB's COPY options, the ending of the object's name)."""
    gzip = "GZIP" in options.flags
    if options.format == "PARQUET":
        return "format parquet", ".parquet"
    compression = "compression gzip" if gzip else "compression none"
    ending = ".gz" if gzip else ""
    if options.format == "JSON":
        return f"format json, {compression}", f".json{ending}" if gzip else ".json"
    null = scan.literal(options.texts.get("NULL", ""))
    head = "true" if "HEADER" in options.flags else "false"
    common = f"format csv, header {head}, delimiter {scan.literal(options.delimiter)}, nullstr {null}, {compression}"
    if options.format == "CSV":
        return common, ending
    if "ADDQUOTES" in options.flags:
        return f"{common}, force_quote *", ending
    return f"{common}, quote ''", ending


def unload(session: Session, text: str, staging: Path, channel: Channel) -> Result:
    """Run the query, write its rows to one file, and have the server put it."""
    command = read_unload(text)
    options = command.options
    if unknown := (options.flags - _KNOWN) | (options.numbers.keys() - {"MAXFILESIZE", "ROWGROUPSIZE"}):
        raise unsupported(f"UNLOAD with {sorted(unknown)[0]}")
    pieces = scan.statements(command.query)
    if len(pieces) != 1:
        raise syntax("UNLOAD takes one query")
    query = session.fill(plan.cut(plan.query(pieces[0])), [])
    form, ending = _format(options)
    with staging_folder(staging) as folder:
        path = folder / "part"
        row = session.connection.execute(f"copy ({query}) to {scan.literal(str(path))} ({form})").fetchone()
        rows = int(row[0]) if row else 0
        objects: list[dict[str, Any]] = [{"url": f"{command.target}0000_part_00{ending}", "path": str(path)}] if rows else []
        if "MANIFEST" in options.flags:
            listed = folder / "manifest"
            entries = [{"url": entry["url"], "meta": {"content_length": path.stat().st_size}} for entry in objects]
            listed.write_text(json.dumps({"entries": entries}))
            objects.append({"url": f"{command.target}manifest", "path": str(listed)})
        try:
            channel.call(
                "store", objects=objects, role=options.role, access_key=list(options.access_key),
                overwrite=bool(options.flags & {"ALLOWOVERWRITE", "CLEANPATH"}),
                clean=command.target if "CLEANPATH" in options.flags else "",
                timeout_s=FETCH_TIMEOUT_S,
            )  # fmt: skip
        except RemoteError as error:
            raise SqlError("XX000", f"S3ServiceException: {error}") from error
    return Result("UNLOAD", notices=[f"UNLOAD completed, {rows} record(s) unloaded successfully."])
