"""What a process does to itself before strangers' code runs in it. The standard library alone: it runs inside sandboxes.

`isolate` makes the namespaces and mounts that bubblewrap would (the parent has built the root filesystem), in a few
milliseconds and without starting anything. `give_up` takes away every right, and with a filter those system calls that no
function needs and that most holes of kernels were in.
"""

import contextlib
import ctypes
import fcntl
import os
import resource
import signal
import socket
import struct
from typing import Any

_CLONE_NEWNS, _CLONE_NEWIPC, _CLONE_NEWPID, _CLONE_NEWNET = 0x00020000, 0x08000000, 0x20000000, 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 24, 38
_CAPABILITIES_MAX = 64
_CAPABILITY_VERSION_3 = 0x20080522
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_SHARED_BYTES = 64 * 1024 * 1024
HOST = "/.host"
"""Where the parent sees the folder of all functions' code; a child puts it out of sight."""

# Architecture of the audit interface, then the numbers of the system calls.
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_REFUSED = {
    "x86_64": (
        101, 103, 134, 136, 153, 154, 155, 156, 159, 161, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172, 173, 174, 175,
        176, 177, 178, 179, 180, 212, 227, 246, 248, 249, 250, 256, 272, 279, 298, 300, 303, 304, 305, 308, 310, 311,
        312, 313, 320, 321, 323, 425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 440, 442, 443,
    ),
    "aarch64": (
        39, 40, 41, 42, 51, 58, 60, 89, 97, 104, 105, 106, 112, 116, 117, 142, 161, 162, 170, 171, 217, 218, 219, 224, 225,
        238, 239, 241, 262, 264, 265, 266, 268, 270, 271, 272, 273, 280, 282, 294, 425, 426, 427, 428, 429, 430, 431, 432,
        433, 438, 440, 442, 443,
    ),
}  # fmt: skip
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435
_NAMESPACE_FLAGS = 0x7E020000
_EPERM, _ENOSYS = 1, 38
_RETURN_ALLOW, _RETURN_ERRNO = 0x7FFF0000, 0x00050000

_libc: Any = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_libc.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)


def begin_process_namespace() -> None:
    """Let the next child be the first process of a namespace of its own."""
    _check(_libc.unshare(_CLONE_NEWPID), "unshare")


def end_process_namespace(own: int) -> None:
    """Let the children after it be born here again; `own` is an open /proc/self/ns/pid."""
    _check(_libc.setns(own, _CLONE_NEWPID), "setns")


def die_with_parent() -> None:
    """Be killed when the parent ends. To be said again after a change of the user."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def isolate(task: str, layers: str, temporary_bytes: int, network: bool) -> None:
    """Own mounts, ipc and (with `network`) network: the code is at /var/task and /opt, /tmp is empty and bounded."""
    _check(_libc.unshare(_CLONE_NEWNS | _CLONE_NEWIPC | (_CLONE_NEWNET if network else 0)), "unshare")
    _mount("", "/", "", _MS_REC | _MS_PRIVATE)
    for source, target in ((task, "/var/task"), (layers, "/opt")):
        if source:
            _mount(source, target, "", _MS_BIND)
            _mount("", target, "", _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
    _check(_libc.umount2(HOST.encode(), _MNT_DETACH), "umount")
    for target, size in (("/tmp", temporary_bytes), ("/dev/shm", _SHARED_BYTES)):
        _mount("tmpfs", target, "tmpfs", _MS_NOSUID | _MS_NODEV, f"size={size},mode=1777")
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    _mount("devpts", "/dev/pts", "devpts", _MS_NOSUID | _MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    if network:
        _loopback_up()


def bound(limits: dict[str, int], user_id: int) -> None:
    """Set the limits of resources, and become a user without any right."""
    for name, value in limits.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)  # noqa: PLW2901
        resource.setrlimit(kind, (value, value))
    if user_id:
        with contextlib.suppress(OSError):
            for capability in range(_CAPABILITIES_MAX):
                _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
        os.setgroups([])
        os.setresgid(user_id, user_id, user_id)
        os.setresuid(user_id, user_id, user_id)


def give_up(*, dies_with_parent: bool = False) -> None:
    """No capabilities, no new privileges, no dangerous system calls. What the kernel does not know is left out."""
    with contextlib.suppress(OSError, AttributeError):
        header, nothing = struct.pack("Ii", _CAPABILITY_VERSION_3, 0), bytes(24)
        _libc.capset(header, nothing)
        _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # changing the user took /proc/self away
        if dies_with_parent:
            die_with_parent()
        _refuse_system_calls()


def _refuse_system_calls() -> None:
    machine = os.uname().machine
    if machine not in _ARCHITECTURES:
        return
    refused = _REFUSED[machine]
    # Each step: load a word of the call's data, compare, jump over so many steps, or return.
    steps = [(0x20, 0, 0, 4), (0x15, 1, 0, _ARCHITECTURES[machine]), (0x06, 0, 0, _RETURN_ERRNO | _EPERM), (0x20, 0, 0, 0)]
    if machine == "x86_64":
        # The numbers of the 32 bit pointers' interface would get around the list.
        steps += [(0x35, 0, 1, 0x40000000), (0x06, 0, 0, _RETURN_ERRNO | _ENOSYS)]
    # The C library tries clone3 first; its flags lie in memory, where a filter can't look.
    steps += [(0x15, 0, 1, _CLONE3), (0x06, 0, 0, _RETURN_ERRNO | _ENOSYS)]
    for position, number in enumerate(refused):
        steps.append((0x15, len(refused) - position + 3, 0, number))
    steps += [(0x15, 0, 2, _CLONE[machine]), (0x20, 0, 0, 16), (0x45, 1, 0, _NAMESPACE_FLAGS)]
    steps += [(0x06, 0, 0, _RETURN_ALLOW), (0x06, 0, 0, _RETURN_ERRNO | _EPERM)]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    held = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(held))
    buffer = ctypes.create_string_buffer(program)
    _libc.prctl(_PR_SET_SECCOMP, 2, ctypes.addressof(buffer), 0, 0)


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        name = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(asking, _SIOCGIFFLAGS, name))[1]
        fcntl.ioctl(asking, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    _check(_libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()), f"mount {target}")


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
