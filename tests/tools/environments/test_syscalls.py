"""The filter of system calls, on every machine that it knows: an interpreter of its instructions runs it."""

import struct

import pytest

from surefoot.tools.environments.syscalls import ALLOW, MACHINES, REFUSE, program

EPERM, ENOSYS, EAFNOSUPPORT = (REFUSE | number for number in (1, 38, 97))


def run(machine: str, number: int, *arguments: int, audit: int | None = None) -> int:
    """Do what the kernel does (net/core/filter.c): what the program returns for a call."""
    known = MACHINES[machine].audit if audit is None else audit
    data = struct.pack("=IIQ6Q", number, known, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    steps = list(struct.iter_unpack("=HBBI", program(machine)))
    at = accumulator = 0
    while True:
        code, then, otherwise, value = steps[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif code == 0x06:
            return value
        else:
            true = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[
                code
            ]
            at += then if true else otherwise


NUMBERS = {
    "x86_64": {"read": 0, "chmod": 90, "fchmod": 91, "fchmodat": 268, "open": 2, "openat": 257, "mknodat": 259, "socket": 41, "clone": 56, "unshare": 272, "keyctl": 250, "exit": 60},
    "aarch64": {"read": 63, "fchmod": 52, "fchmodat": 53, "openat": 56, "mknodat": 33, "socket": 198, "clone": 220, "unshare": 97, "keyctl": 219, "exit": 93},
}  # fmt: skip


@pytest.mark.parametrize("machine", NUMBERS)
def test_usual_calls_are_allowed(machine: str) -> None:
    call = NUMBERS[machine]
    for name, arguments in (
        ("read", (0, 0x1000, 0o6000)),
        ("fchmod", (3, 0o755)),
        ("fchmod", (0o6000, 0o1777)),
        ("fchmodat", (0o6000, 0o6000, 0o644)),
        ("openat", (0xFFFFFF9C, 0o6000, 0o6000, 0o666)),
        ("mknodat", (3, 0, 0o10644)),
        ("clone", (0x1200011,)),
        ("unshare", (0x20000,)),
        ("exit", (0,)),
        *(("socket", (family, 1, 0)) for family in (1, 2, 10, 16)),
    ):
        assert run(machine, call[name], *arguments) == ALLOW, name


@pytest.mark.parametrize("machine", NUMBERS)
def test_what_would_lead_out_is_refused(machine: str) -> None:
    call = NUMBERS[machine]
    for special in (0o4755, 0o2755, 0o6000, 0o104755):
        assert run(machine, call["fchmod"], 3, special) == EPERM
        for name in ("fchmodat", "open", "chmod"):
            place = {"chmod": 1, "open": 2, "fchmodat": 2}[name]
            if name in call:
                assert run(machine, call[name], *[0] * place, special) == EPERM
        assert run(machine, call["openat"], 0, 0, 0, special) == EPERM
        assert run(machine, call["mknodat"], 0, 0, special) == EPERM
        assert run(machine, 452, 0, 0, special) == EPERM
    assert run(machine, call["keyctl"], 0) == EPERM
    for name in ("clone", "unshare"):
        assert run(machine, call[name], 0x10000000 | 0x20011) == EPERM
    for family in (0, 3, 17, 38, 40, 2**31):
        assert run(machine, call["socket"], family) == EAFNOSUPPORT
    for absent in (425, 426, 427, 435, 437):
        assert run(machine, absent) == ENOSYS


@pytest.mark.parametrize("machine", NUMBERS)
def test_calls_of_another_kind_are_refused(machine: str) -> None:
    assert run(machine, 4, audit=0x40000003) == ENOSYS
    assert run(machine, 0x40000000 | NUMBERS[machine]["read"]) == ENOSYS


def test_every_jump_stays_within_the_program() -> None:
    for machine in MACHINES:
        steps = list(struct.iter_unpack("=HBBI", program(machine)))
        assert steps[-1][0] == 0x06 and len(steps) < 4096
        assert all(
            at + 1 + max(then, otherwise) < len(steps)
            for at, (_, then, otherwise, _) in enumerate(steps[:-1])
        )


def test_an_unknown_machine_has_none() -> None:
    assert program("s390x") == b""
