# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate's filter of system calls, run as the kernel runs it, for each architecture."""

from __future__ import annotations

import re
import struct

import pytest

from tests.lab.fleet import CHECKOUT

GATE = CHECKOUT / "roles" / "netboot_caching_server" / "files" / "netboot-sync-gate"
ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
X86_64, I386, AARCH64, ARM, RISCV64 = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028, 0xC00000F3
CREATES, READS, TEMPORARY = 0x241, 0, 0x410002


def program() -> list[tuple[int, int, int, int]]:
    text = re.search(r"^filter='\n(.*?)\n'$", GATE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert text is not None
    raw = bytes(int(number, 8) for number in re.findall(r"\\([0-7]{3})", text[1]))
    return [struct.unpack_from("<HBBI", raw, at) for at in range(0, len(raw), 8)]


def verdict(machine: int, number: int, *arguments: int) -> int:
    """Interpret the program, which has only these five instructions."""
    data = struct.pack("<IIQ6Q", number, machine, 0, *arguments, *[0] * (6 - len(arguments)))
    value, at, steps = 0, 0, program()
    while True:
        code, yes, no, operand = steps[at]
        at += 1
        if code == 0x20:
            value = struct.unpack_from("<I", data, operand)[0]
        elif code == 0x06:
            return operand
        else:
            holds = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[code]
            at += yes if holds else no


@pytest.mark.parametrize(
    ("machine", "number", "before", "is_open"),
    [
        pytest.param(X86_64, 2, (0,), True, id="open"),
        pytest.param(X86_64, 257, (0, 0), True, id="openat"),
        pytest.param(X86_64, 85, (0,), False, id="creat"),
        pytest.param(X86_64, 83, (0,), False, id="mkdir"),
        pytest.param(X86_64, 258, (0, 0), False, id="mkdirat"),
        pytest.param(X86_64, 133, (0,), False, id="mknod"),
        pytest.param(X86_64, 259, (0, 0), False, id="mknodat"),
        pytest.param(X86_64, 90, (0,), False, id="chmod"),
        pytest.param(X86_64, 91, (0,), False, id="fchmod"),
        pytest.param(X86_64, 268, (0, 0), False, id="fchmodat"),
        pytest.param(X86_64, 452, (0, 0), False, id="fchmodat2"),
        pytest.param(I386, 5, (0,), True, id="i386 open"),
        pytest.param(I386, 15, (0,), False, id="i386 chmod"),
        pytest.param(I386, 306, (0, 0), False, id="i386 fchmodat"),
        pytest.param(ARM, 322, (0, 0), True, id="arm openat"),
        pytest.param(ARM, 333, (0, 0), False, id="arm fchmodat"),
        *(
            pytest.param(machine, number, before, is_open, id=f"{name} {call}")
            for machine, name in ((AARCH64, "aarch64"), (RISCV64, "riscv64"))
            for number, before, is_open, call in (
                (56, (0, 0), True, "openat"),
                (34, (0, 0), False, "mkdirat"),
                (33, (0, 0), False, "mknodat"),
                (52, (0,), False, "fchmod"),
                (53, (0, 0), False, "fchmodat"),
                (452, (0, 0), False, "fchmodat2"),
            )
        ),
    ],
)
def test_no_call_makes_a_setuid_file(machine: int, number: int, before: tuple[int, ...], *, is_open: bool) -> None:
    for flags in (CREATES, TEMPORARY) if is_open else (None,):
        arguments = before if flags is None else (*before, flags)
        for mode, expected in ((0o755, ALLOW), (0o4755, EPERM), (0o2755, EPERM), (0o6000, EPERM), (0o1777, ALLOW)):
            assert verdict(machine, number, *arguments, mode) == expected, (flags, oct(mode))
    if is_open:  # without O_CREAT or O_TMPFILE, the mode argument is ignored
        assert verdict(machine, number, *before, READS, 0o6755) == ALLOW


@pytest.mark.parametrize("machine", [X86_64, I386, AARCH64, ARM, RISCV64])
def test_what_hides_its_arguments_is_not_there(machine: int) -> None:
    assert [verdict(machine, number) for number in (437, 425)] == [ENOSYS, ENOSYS]  # openat2, io_uring_setup
    assert verdict(machine, 0) == ALLOW


def test_other_machines_and_other_tables_of_calls() -> None:
    assert verdict(0x80000016, 0) == KILL  # s390x
    assert verdict(X86_64, 0x40000000 + 90, 0, 0o4755) == ENOSYS  # x32
