"""What a sandboxed command may not ask of the kernel: a seccomp filter, as `bwrap --seccomp` reads it.

Namespaces and dropped capabilities leave open: files with the set-uid bit, which would be programs of ours in the workspace for
every user of this machine; the key ring, which is inherited; sockets of families that no network namespace confines (a
virtual machine's host); io_uring, by which all of these could be asked for unseen; and namespaces of one's own.

Instructions: struct sock_filter of linux/filter.h.  Numbers of calls: the kernel's tables for each machine.
"""

import platform
import struct
from collections.abc import Iterable
from typing import NamedTuple

EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97
SPECIAL = 0o6000
"""Set-uid and set-gid."""
NEW_USER = 0x10000000
FAMILIES = (1, 2, 10, 16)
"""Unix, IPv4, IPv6, netlink: confined by the network namespace, or by what is mounted."""

LOAD, EQUAL, AT_LEAST, ANY_OF, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
"""Where struct seccomp_data has them; an argument takes 8 bytes, its low half first."""
FOREIGN = 0x40000000
"""Calls of the x32 kind, whose numbers are other ones."""


class Machine(NamedTuple):
    """How a machine numbers its calls."""

    audit: int
    mode_at: dict[int, int]
    """Calls that give a file a mode, and which argument that is."""
    namespaces: tuple[int, ...]
    """unshare and clone: the first argument has the flags."""
    socket: int
    forbidden: tuple[int, ...]
    """add_key, request_key, keyctl, bpf, userfaultfd, perf_event_open."""


ABSENT = (425, 426, 427, 435, 437)
"""io_uring, clone3 and openat2, whose flags lie in memory: as if the kernel had none, programs go on without."""
MACHINES = {
    "x86_64": Machine(
        0xC000003E,
        # chmod, fchmod, fchmodat, fchmodat2, open, creat, openat, mknod, mknodat
        {90: 1, 91: 1, 268: 2, 452: 2, 2: 2, 85: 1, 257: 3, 133: 1, 259: 2},
        (272, 56),
        41,
        (248, 249, 250, 321, 323, 298),
    ),
    "aarch64": Machine(
        0xC00000B7,
        # fchmod, fchmodat, fchmodat2, openat, mknodat
        {52: 1, 53: 2, 452: 2, 56: 3, 33: 2},
        (97, 220),
        198,
        (217, 218, 219, 280, 282, 241),
    ),
}


def program(machine: str = "") -> bytes:
    """Return the filter for a machine, this one by default; empty if its calls are not known here."""
    known = MACHINES.get(machine or platform.machine())
    return b"".join(_instructions(known)) if known else b""


def _instructions(machine: Machine) -> Iterable[bytes]:
    yield _one(LOAD, ARCHITECTURE)
    yield _one(EQUAL, machine.audit, 1, 0)
    yield _refuse(ENOSYS)
    yield _one(LOAD, NUMBER)
    yield _one(AT_LEAST, FOREIGN, 0, 1)
    yield _refuse(ENOSYS)
    for numbers, error in ((ABSENT, ENOSYS), (machine.forbidden, EPERM)):
        for number in numbers:
            yield from (_one(EQUAL, number, 0, 1), _refuse(error))
    for number, place in machine.mode_at.items():
        yield from _unless(number, place, SPECIAL)
    for number in machine.namespaces:
        yield from _unless(number, 0, NEW_USER)
    yield _one(EQUAL, machine.socket, 0, len(FAMILIES) + 2)
    yield _one(LOAD, ARGUMENTS)
    for left, family in zip(range(len(FAMILIES), 0, -1), FAMILIES, strict=True):
        yield _one(EQUAL, family, left, 0)
    yield _refuse(EAFNOSUPPORT)
    yield _one(RETURN, ALLOW)


def _unless(number: int, place: int, bits: int) -> Iterable[bytes]:
    """Refuse a call whose argument has any of these bits."""
    yield _one(EQUAL, number, 0, 4)
    yield _one(LOAD, ARGUMENTS + 8 * place)
    yield _one(ANY_OF, bits, 0, 1)
    yield _refuse(EPERM)
    yield _one(RETURN, ALLOW)


def _refuse(error: int) -> bytes:
    return _one(RETURN, REFUSE | error)


def _one(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)
