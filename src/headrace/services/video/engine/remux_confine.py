"""Takes from this process what remuxing does not need: files, the network, other programs. Media is made by strangers.

No descriptor can be opened any more (a limit that can't be raised), nothing is written to disk, memory is bounded, and where the
kernel's system call filter is known (x86-64 and 64-bit ARM) only calls that work on what is open already are let through.
"""

import ctypes
import os
import platform
import resource
import struct

MEMORY_BYTES_MAX = 1536 << 20
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _FILTER = 22, 38, 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 1  # EPERM
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_X32_BIT = 0x40000000
# What reading, writing, memory, threads and time take; by architecture: its audit number and the calls' numbers.
_CALLS = {
    "x86_64": (
        0xC000003E,
        (0, 1, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 20, 19, 24, 25, 26, 28, 35, 37, 39, 44, 45, 46, 47, 48, 60, 72, 96, 97,
         98, 99, 131, 158, 186, 201, 202, 203, 204, 218, 219, 228, 229, 230, 231, 232, 262, 270, 271, 273, 281, 309, 318,
         324, 332, 334),
    ),
    "aarch64": (
        0xC00000B7,
        (22, 25, 29, 57, 62, 63, 64, 65, 66, 72, 73, 79, 80, 93, 94, 96, 98, 99, 101, 103, 113, 114, 115, 122, 123, 124, 128, 132,
         134, 135, 139, 169, 172, 178, 179, 206, 207, 210, 211, 212, 214, 215, 216, 222, 226, 227, 233, 278, 283, 291,
         293, 165, 168),
    ),
}  # fmt: skip


def confine() -> str:
    """Confine this process from now on; what holds it, in one line."""
    libc = ctypes.CDLL(None, use_errno=True)
    opened = max(int(name) for name in os.listdir("/proc/self/fd")) + 1 if os.path.isdir("/proc/self/fd") else 16
    for kind, most in (
        (resource.RLIMIT_NOFILE, opened), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, MEMORY_BYTES_MAX),
    ):  # fmt: skip
        resource.setrlimit(kind, (most, most))
    found = _CALLS.get(platform.machine())
    if found is None:
        return "limits of descriptors and memory"
    program = _program(*found)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer)))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_PR_SET_SECCOMP, _FILTER, header, 0, 0):
        return "limits of descriptors and memory"
    return "limits of descriptors and memory, and a filter of system calls"


def _program(architecture: int, calls: tuple[int, ...]) -> bytes:
    """The filter, in the kernel's classic BPF: of this architecture, and one of the calls; else refused."""
    lines = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _REFUSE), (_LOAD, 0, 0, 0)]
    for at, call in enumerate(calls):
        lines.append((_EQUAL, len(calls) - at, 0, call))
    lines += [(_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("HBBI", *line) for line in lines)
