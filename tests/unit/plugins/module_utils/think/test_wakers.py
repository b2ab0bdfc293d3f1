# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who woke a device, found in what a kernel wrote while it was woken."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.repeats import (
    WINDOW,
    Repeats,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.trace import (
    Began,
    Lost,
    Returned,
    filter_of,
    parse,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.wakers import Wakers
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.waker import Kind, Waker

from . import recorded
from .recorded import DISK, DUAL0, DUAL1, NIC

HELPER = Waker(Kind.OWN, "vfio-powerd", 447)
UNRECORDED, LOST = Waker(Kind.UNRECORDED), Waker(Kind.LOST)


def process(command: str, pid: int) -> Waker:
    return Waker(Kind.PROCESS, command, pid)


def who(call: Began) -> Waker:
    """Who it is, as far as the line itself tells."""
    if call.in_interrupt:
        return Waker(Kind.INTERRUPT)
    if call.command.startswith("kworker/"):
        return Waker(Kind.KERNEL, call.command, call.task)
    return HELPER if call.command == "python3" else process(call.command, call.task)


def read(wakers: Wakers, text: str) -> list[tuple[str, Waker]]:
    """Read lines; return which devices woke by them, and by whom."""
    woke = []
    for line in text.splitlines():
        record = parse(line)
        if isinstance(record, Began):
            wakers.began(record, who(record))
        elif isinstance(record, Lost):
            wakers.lost(217.0)
        elif isinstance(record, Returned):
            waker = wakers.returned(record)
            woke += [(str(record.address), waker)] if waker else []
    return woke


@pytest.mark.parametrize(
    ("text", "woke"),
    [
        (recorded.LSPCI, [(NIC, process("<...>", 546))]),
        (recorded.SETPCI, [(DISK, process("setpci", 548))]),
        (recorded.ENTERING, []),
        (recorded.EXITING, [(NIC, HELPER)]),
        (
            recorded.BOTH_BELOW_A_PORT,
            [(DUAL1, process("lspci", 550)), (DUAL0, process("lspci", 550))],
        ),
    ],
)
def test_who_woke_a_device_is_who_made_the_call_that_did_it(
    text: str, woke: list[tuple[str, Waker]]
) -> None:
    assert read(Wakers(), text) == woke


def told(text: str, at: float, asleep_since: Optional[float] = None, card: str = NIC) -> Waker:
    """Who it was by the trace up to then, of a device that the helper says has woken."""
    wakers = Wakers()
    read(wakers, text)
    if asleep_since is not None:
        wakers.sleeps(PciAddress.parse(card), asleep_since)
    return wakers.of(PciAddress.parse(card), at)


def first(text: str, lines: int) -> str:
    return "".join(text.splitlines(keepends=True)[:lines])


def test_the_helper_may_tell_of_a_wake_before_the_call_is_over() -> None:
    assert told(first(recorded.LSPCI, 1), at=217.03) == process("<...>", 546)


def test_who_comes_later_and_waits_for_the_same_wake_did_not_do_it() -> None:
    later = recorded.SETPCI.splitlines()[0].replace("218.791358", "216.990000").replace(DISK, NIC)
    assert told(first(recorded.LSPCI, 1) + later, at=217.03) == process("<...>", 546)
    assert told(recorded.LSPCI + later, at=217.04) == process("<...>", 546)


def test_a_thread_of_the_kernel_is_named_where_nobody_asked_it() -> None:
    alone = "\n".join(recorded.BOTH_BELOW_A_PORT.splitlines()[5:8])
    assert read(Wakers(), alone) == [(DUAL1, Waker(Kind.KERNEL, "kworker/1:1", 45))]


def test_a_thread_of_the_kernel_that_an_interrupt_asked_leads_to_the_interrupt() -> None:
    lines = recorded.BOTH_BELOW_A_PORT.splitlines()[2:8]
    lines[0] = lines[0].replace("d..1.", "d.h1.")
    assert read(Wakers(), "\n".join(lines)) == [(DUAL1, Waker(Kind.INTERRUPT))]


def test_a_request_that_was_long_ago_is_not_why_a_thread_of_the_kernel_does_it() -> None:
    lines = recorded.BOTH_BELOW_A_PORT.splitlines()[2:8]
    lines[:2] = [line.replace(" 220.", " 200.") for line in lines[:2]]
    assert read(Wakers(), "\n".join(lines)) == [(DUAL1, Waker(Kind.KERNEL, "kworker/1:1", 45))]


@pytest.mark.parametrize(
    ("text", "at", "asleep_since", "expected"),
    [
        ("", 217.0, None, UNRECORDED),
        (recorded.LSPCI, 217.1, None, process("<...>", 546)),
        (recorded.LSPCI, 240.0, None, UNRECORDED),
        (recorded.LSPCI, 219.9, 219.8, UNRECORDED),
        (recorded.LSPCI, 217.1, 216.9, process("<...>", 546)),
        (recorded.ENTERING, 219.9, None, UNRECORDED),
        (recorded.GAP, 217.1, None, LOST),
        (recorded.GAP, 240.0, None, UNRECORDED),
    ],
)
def test_a_wake_without_a_record_of_its_own_is_nobodys(
    text: str, at: float, asleep_since: Optional[float], expected: Waker
) -> None:
    assert told(text, at, asleep_since) == expected


def test_a_return_whose_beginning_was_lost_names_nobody() -> None:
    end = recorded.LSPCI.splitlines()[-1]
    assert read(Wakers(), end) == [(NIC, UNRECORDED)]
    assert read(Wakers(), recorded.GAP + end) == [(NIC, LOST)]


def test_calls_whose_return_was_lost_do_not_pile_up() -> None:
    wakers = Wakers()
    began = recorded.LSPCI.splitlines()[0]
    for task in range(1000):
        read(wakers, began.replace("-546", f"-{task}"))
    (device,) = list(wakers._devices.values())
    assert len(device.calls) <= 64


@pytest.mark.parametrize(
    "line",
    [
        "",
        "# tracer: nop",
        recorded.SETPCI.splitlines()[-1],
        recorded.LSPCI.splitlines()[0].replace(NIC, "1-1.2"),
        recorded.LSPCI.splitlines()[0].replace("rpm_resume", "rpm_usage"),
        recorded.LSPCI.splitlines()[0][:80],
    ],
)
def test_other_lines_say_nothing(line: str) -> None:
    assert parse(line) is None


@pytest.mark.parametrize("command", ["qemu-system-x86-1", "a b [000] c", "tr\rick", ""])
def test_a_name_may_have_anything_in_it(command: str) -> None:
    line = recorded.SETPCI.splitlines()[0].replace("setpci", command)
    record = parse(line)
    assert isinstance(record, Began)
    assert (record.command, record.task) == (command, 548)


def test_a_line_with_the_group_of_the_task_is_read_as_well() -> None:
    line = recorded.SETPCI.splitlines()[0].replace("548     [", "548     (    548) [")
    record = parse(line)
    assert isinstance(record, Began)
    assert (record.command, record.task) == ("setpci", 548)


def test_the_kernel_filters_as_many_names_as_it_takes() -> None:
    few = {PciAddress.parse(card) for card in (NIC, DISK)}
    assert filter_of(few) == f'name == "{NIC}" || name == "{DISK}"'
    assert filter_of({PciAddress(0, bus, 0, 0) for bus in range(200)}) == "0"


class TestRepeats:
    CARD = PciAddress.parse(DISK)

    def test_the_first_is_told_and_the_others_are_counted(self) -> None:
        repeats = Repeats()
        told = [repeats.first(self.CARD, process("lspci", pid), pid / 10) for pid in range(1, 9)]
        assert told == [True] + 7 * [False]
        assert list(repeats.over(WINDOW)) == []
        assert list(repeats.over(0.1 + WINDOW)) == [(self.CARD, process("lspci", 8), 7)]

    def test_it_is_the_same_one_where_its_unit_was_not_seen_in_time(self) -> None:
        repeats = Repeats()
        assert repeats.first(self.CARD, process("lspci", 1)._replace(unit="it.service"), 0)
        assert not repeats.first(self.CARD, process("lspci", 2), 1)

    def test_another_command_or_device_is_told_beside_it(self) -> None:
        repeats = Repeats()
        other = PciAddress.parse(NIC)
        assert repeats.first(self.CARD, process("lspci", 1), 0)
        assert repeats.first(self.CARD, process("setpci", 1), 0)
        assert repeats.first(other, process("lspci", 1), 0)

    def test_one_that_does_not_come_again_is_forgotten(self) -> None:
        repeats = Repeats()
        assert repeats.first(self.CARD, process("lspci", 1), 0)
        assert repeats.due() == WINDOW
        assert list(repeats.over(WINDOW)) == []
        assert repeats.due() is None
        assert repeats.first(self.CARD, process("lspci", 2), WINDOW)
