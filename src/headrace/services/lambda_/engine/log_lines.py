"""The lines that the platform adds to a log of plain text."""


def start_line(request_id: str, version: str) -> str:
    """The line before a function runs."""
    return f"START RequestId: {request_id} Version: {version}"


def end_line(request_id: str) -> str:
    """The line after a function ran."""
    return f"END RequestId: {request_id}"


def report_line(
    request_id: str, duration_ms: float, billed_ms: int, memory_mib: int, used_mib: int, init_ms: float | None, status: str
) -> str:
    """What an invocation used. `status` is empty, "timeout" or "error\\tError Type: …"."""
    parts = [f"REPORT RequestId: {request_id}", f"Duration: {duration_ms:.2f} ms", f"Billed Duration: {billed_ms} ms"]
    parts += [f"Memory Size: {memory_mib} MB", f"Max Memory Used: {used_mib} MB"]
    if init_ms is not None:
        parts.append(f"Init Duration: {init_ms:.2f} ms")
    if status:
        parts.append(f"Status: {status}")
    return "\t".join(parts) + "\t"
