# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who woke a device, in words."""

from __future__ import annotations

from collections.abc import Mapping

from ..words.waker import Kind, Waker


def woken(waker: Waker, times: int) -> str:
    """Return who woke a device of which the helper cannot tell."""
    word = "woken" if times == 1 else f"woken {times} more times"
    if waker.kind is Kind.OWN:
        return f"{word} by our own work"
    if waker.kind is Kind.PROCESS:
        return f"{word} by {_named(waker)}"
    return f"{word}; {it_was(waker)}"


def it_was(waker: Waker) -> str:
    """Return who it was, or why nobody can tell."""
    if waker.kind is Kind.PROCESS:
        return f"it was {_named(waker)}"
    return _IT_WAS[waker.kind].format(command=waker.command)


def _named(waker: Waker) -> str:
    """Return ``qemu-system-x86 (pid 812, guest web)``."""
    about = [f"pid {waker.pid}"]
    if waker.guest:
        about.append(f"guest {waker.guest}")
    elif waker.unit:
        about.append(waker.unit)
    return f"{waker.command or 'a process that is gone'} ({', '.join(about)})"


_IT_WAS: Mapping[Kind, str] = {
    Kind.OWN: "it was our own helper",
    Kind.KERNEL: "it was the kernel ({command}): cannot tell who asked",
    Kind.INTERRUPT: "it was an interrupt: cannot tell who asked",
    Kind.LOST: "cannot tell who it was: the kernel's trace has a gap",
    Kind.UNRECORDED: "cannot tell who it was: the kernel's trace has nothing of it",
}
