# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every call into the kernel, refused with every errno it may have, and hanging.

The device says what was asked, what was answered and what to look at; no other device and no
client notices, and nothing stays open.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.deadlines import (
    deadline_of,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch import backends
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    HelperRefused,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import Failure

from ..fake.host import FakeDevice, FakeHost
from ..hold.helper import Asking, Helper, rule, wait_until

GROUP, CDEV = "group", "cdev"


Told = dict[str, tuple[str, str]]
"""By errno: the code, and a piece of the next step."""


class Operation(NamedTuple):
    """A call into the kernel: its name in fake/trouble.py, and in what is told."""

    name: str
    told: str
    way: str = ""  # the only way in on which it is made
    of_the_host: bool = False  # it names no device


NODE = Operation("node", "open the group", GROUP)
STATUS = Operation("status", "read the group's status", GROUP)
CONTAINER = Operation("vfio", "open the container", GROUP, of_the_host=True)
ATTACH = Operation("attach", "attach the container", GROUP)
IOMMU = Operation("iommu", "set the IOMMU", GROUP)
OPEN = Operation("open", "open", GROUP)
IOMMUFD = Operation("iommu", "open /dev/iommu", CDEV, of_the_host=True)
OWN_NODE = Operation("node", "open the node", CDEV)
BIND = Operation("open", "bind", CDEV)
REQUESTS = Operation("irqs", "register for requests")
ERRORS = Operation("error-irqs", "register for errors")
PROBE = Operation("probe", "probe LOW_POWER_ENTRY")
ENTRY = Operation("entry", "enter low power")
ARMED_ENTRY = Operation("entry-with-wakeup", "enter low power with wakeup")
EXIT = Operation("exit", "exit low power")
CLOSE = Operation("close", "close")

TAKING: dict[Operation, Told] = {
    NODE: {
        "EBUSY": ("busy", "a guest perhaps"),
        "EPERM": ("node-denied", "restart vfio-powerd"),
        "EACCES": ("node-denied", "ls -l"),
        "ENOENT": ("kernel-refused", "bind the device"),
        "ENXIO": ("kernel-refused", "driver went away"),
        "ENODEV": ("kernel-refused", "driver went away"),
        "ELOOP": ("kernel-refused", "a link"),
        "EMFILE": ("kernel-refused", "LimitNOFILE"),
        "ENOMEM": ("kernel-refused", "out of memory"),
        "EIO": ("kernel-refused", "kernel log"),
    },
    STATUS: {"EFAULT": ("kernel-refused", "fault of the helper"), "EIO": ("kernel-refused", "log")},
    CONTAINER: {
        "ENOENT": ("kernel-refused", "modprobe vfio-pci"),
        "ENODEV": ("kernel-refused", "modprobe vfio-pci"),
        "EACCES": ("node-denied", "ls -l"),
        "EPERM": ("node-denied", "restart vfio-powerd"),
        "ENFILE": ("kernel-refused", "too many files"),
    },
    ATTACH: {
        "EPERM": ("busy", "a device of its IOMMU group"),
        "EINVAL": ("kernel-refused", "a device of its IOMMU group"),
        "EBADFD": ("kernel-refused", "fault of the helper"),
        "EFAULT": ("kernel-refused", "fault of the helper"),
        "ENOTTY": ("kernel-refused", "kernel"),
    },
    IOMMU: {
        "ENODEV": ("kernel-refused", "TYPE1v2"),
        "EPERM": ("kernel-refused", "remap interrupts"),
        "EINVAL": ("kernel-refused", "kernel"),
        "ENOTTY": ("kernel-refused", "kernel"),
    },
    OPEN: {
        "EINVAL": ("kernel-refused", "runtime_status"),
        "ENODEV": ("kernel-refused", "did not power up"),
        "EBUSY": ("kernel-refused", "did not power up"),
        "EIO": ("kernel-refused", "did not power up"),
        "EACCES": ("kernel-refused", "runtime_status"),
        "EAGAIN": ("kernel-refused", "try again later"),
        "EFAULT": ("kernel-refused", "fault of the helper"),
        "ENOTTY": ("kernel-refused", "kernel"),
    },
    IOMMUFD: {
        "EACCES": ("node-denied", "ls -l"),
        "EPERM": ("node-denied", "restart vfio-powerd"),
        "ENODEV": ("kernel-refused", "modprobe vfio-pci"),
        "EMFILE": ("kernel-refused", "LimitNOFILE"),
    },
    OWN_NODE: {
        "EACCES": ("node-denied", "ls -l"),
        "EPERM": ("node-denied", "restart vfio-powerd"),
        "ENOENT": ("kernel-refused", "bind the device"),
        "ENODEV": ("kernel-refused", "driver went away"),
    },
    BIND: {
        "EBUSY": ("busy", "a device of its IOMMU group"),
        "EINVAL": ("busy", "a guest perhaps"),
        "EPERM": ("busy", "a device of its IOMMU group"),
        "EACCES": ("kernel-refused", "token"),
        "ENODEV": ("kernel-refused", "did not power up"),
        "EBADFD": ("kernel-refused", "fault of the helper"),
        "EAGAIN": ("kernel-refused", "try again later"),
        "EFAULT": ("kernel-refused", "fault of the helper"),
        "ENOTTY": ("kernel-refused", "kernel"),
    },
    REQUESTS: {
        "EIO": ("kernel-refused", "could not be resumed"),
        "EINVAL": ("kernel-refused", "another VFIO driver"),
        "ENOTTY": ("kernel-refused", "another VFIO driver"),
        "ENODEV": ("kernel-refused", "has gone"),
        "EFAULT": ("kernel-refused", "fault of the helper"),
        "EBADF": ("kernel-refused", "fault of the helper"),
    },
    ERRORS: {
        "EIO": ("kernel-refused", "could not be resumed"),
        "ENODEV": ("kernel-refused", "has gone"),
        "EFAULT": ("kernel-refused", "fault of the helper"),
        "EBADF": ("kernel-refused", "fault of the helper"),
    },
}
"""What is told of each refusal while a device is taken: the code, and a piece of the next step.
Nothing is held then."""

CALLING = {
    "EIO": ("kernel-refused", "could not be resumed"),
    "EBADF": ("kernel-refused", "fault of the helper"),
    "EFAULT": ("kernel-refused", "fault of the helper"),
    "ENODEV": ("kernel-refused", "has gone"),
}
ENTERED = {
    **CALLING,
    "ENOTTY": ("unsupported", "another VFIO driver"),
    "EINVAL": ("kernel-refused", "in low power already"),
}
ENTERING: dict[Operation, Told] = {
    PROBE: {
        **CALLING,
        "ENOTTY": ("unsupported", "Declare mode none"),
        "EINVAL": ("unsupported", "Declare mode none"),
    },
    ENTRY: ENTERED,
    ARMED_ENTRY: ENTERED,
}
"""Refused while the device is held: it stays held, unless it can do nothing for us."""

CHANGING: dict[Operation, Told] = {
    EXIT: {**CALLING, **dict.fromkeys(("EINVAL", "ENOTTY"), ("kernel-refused", "does not know"))}
}
"""Refused on the way from one mode to another: it is held, and goes no further."""

LEAVING: dict[Operation, Told] = {
    EXIT: dict.fromkeys((*CALLING, "EINVAL", "ENOTTY"), ("power-error", "before a guest gets it")),
    CLOSE: {"EIO": ("kernel-refused", "could not be resumed"), "EINTR": ("kernel-refused", "log")},
}
"""Refused while the device is let go: it is let go all the same, and asleep if it cannot leave low
power."""

BACKENDS = (GROUP, CDEV)


def rows(*tables: dict[Operation, Told]) -> pytest.MarkDecorator:
    """Test each operation on each way in that has it. One helper meets all errnos of one."""
    cases = [
        pytest.param(way, operation, told, id=f"{way}-{operation.told}")
        for operation, told in (item for table in tables for item in table.items())
        for way in BACKENDS
        if operation.way in ("", way)
    ]
    return pytest.mark.parametrize(("host", "operation", "told"), cases, indirect=["host"])


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_PAUSES", (0.0, 0.0))


@pytest.fixture(autouse=True)
def nodes_of_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the nodes belong to root, whoever runs the tests."""
    real = os.stat

    def stat(path: object, *rest: object, **more: object) -> os.stat_result:
        found = list(real(path, *rest, **more))  # type: ignore[arg-type]
        found[4] = 0 if "/dev/" in str(path) else found[4]
        return os.stat_result(found)

    monkeypatch.setattr(os, "stat", stat)


class Pair:
    """A device that has trouble, and another one that is held and must not notice."""

    def __init__(self, host: FakeHost, helper: Helper, mode: str) -> None:
        self.host, self.helper, self.mode = host, helper, mode
        self.other = host.add("0000:02:00.0")
        helper.apply(rule(self.other.address, "entry"))
        self._before = helper.device(self.other.address)
        self._calls = self.calls_of(self.other)
        self._open = open_files()
        self.plug_in()

    def plug_in(self) -> None:
        """Let it be a device that had no trouble so far."""
        self.nic = self.host.add(f"0000:{len(self.host.devices) + 2:02x}:00.0")

    def calls_of(self, device: FakeDevice) -> list[str]:
        return [call.operation for call in self.host.calls if call.address == device.address]

    def rules(self) -> list[dict[str, object]]:
        return [rule(self.nic.address, self.mode), rule(self.other.address, "entry")]

    def failure(self) -> Failure:
        failure = self.helper.device(self.nic.address).failure
        assert failure is not None
        return failure

    def nothing_else_happened(self) -> None:
        assert self.helper.device(self.other.address) == self._before
        assert self.calls_of(self.other) == self._calls

    def nothing_is_open(self) -> None:
        """See that the device is free, and as many descriptors are open as before."""
        self.nothing_else_happened()
        self.helper.settle()
        assert self.helper.store.count == 5
        assert self.nic.vfio is not None
        assert self.nic.vfio.opens == 0
        assert open_files() == self._open
        self.host.guest(self.nic.address).stop()


def open_files() -> dict[str, int]:
    """Count what this process has open by its kind, connections apart: those come and go."""
    kinds: Counter[str] = Counter()
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            kinds[os.readlink(f"/proc/self/fd/{number}")] += 1
    return {kind: count for kind, count in kinds.items() if not kind.startswith("socket:")}


def refuse(pair: Pair, operation: Operation, number: int) -> None:
    address = None if operation.of_the_host else pair.nic.address
    pair.host.refuse(address, operation.name, number)


@contextmanager
def refused(pair: Pair, operation: Operation, number: str, code: str, hint: str) -> Iterator[None]:
    """Have a call refused for a block, after which that has to be told of the device."""
    refuse(pair, operation, getattr(errno, number))
    yield
    assert_told(pair.failure(), operation, number, code, hint)
    refuse(pair, operation, 0)


def assert_told(failure: Failure, operation: Operation, number: str, code: str, hint: str) -> None:
    assert failure.code == code, number
    assert hint in failure.hint
    if code != "unsupported":
        assert (failure.operation, failure.errno) == (operation.told, number)
        assert f"cannot {operation.told}: {number} (" in failure.message


def subject(pair: Pair, operation: Operation) -> str:
    by_group = operation in (NODE, STATUS, CONTAINER, ATTACH, IOMMU)
    return f"IOMMU group {pair.nic.group}" if by_group else str(pair.nic.address)


@rows(TAKING)
def test_a_device_that_cannot_be_taken_says_why(
    host: FakeHost, helper: Helper, operation: Operation, told: Told
) -> None:
    pair = Pair(host, helper, "entry")
    for number, (code, hint) in told.items():
        pair.plug_in()
        with refused(pair, operation, number, code, hint):
            report = helper.apply(*pair.rules()).devices[pair.nic.address]
            assert (report.state, report.held) == ("refused", False)
        if operation is not IOMMUFD:
            assert pair.failure().message.startswith(subject(pair, operation))
        pair.nothing_is_open()
        helper.reclaim(pair.nic.address)
        assert helper.device(pair.nic.address).engaged is Mode.ENTRY


@pytest.mark.parametrize("number", ["EINVAL", "ENOTTY"])
def test_a_device_that_can_report_no_errors_is_held_all_the_same(
    host: FakeHost, helper: Helper, number: str
) -> None:
    pair = Pair(host, helper, "entry")
    refuse(pair, ERRORS, getattr(errno, number))
    report = helper.apply(*pair.rules()).devices[pair.nic.address]
    assert (report.held, report.engaged, report.failure) == (True, Mode.ENTRY, None)


@rows(ENTERING)
def test_a_device_that_cannot_enter_says_why(
    host: FakeHost, helper: Helper, operation: Operation, told: Told
) -> None:
    pair = Pair(host, helper, "entry-with-wakeup" if operation is ARMED_ENTRY else "entry")
    for number, (code, hint) in told.items():
        pair.plug_in()
        with refused(pair, operation, number, code, hint):
            helper.apply(*pair.rules())
            report = helper.device(pair.nic.address)
            assert report.held is (code != "unsupported")
            assert report.engaged is Mode.NONE
        assert str(pair.nic.address) in pair.failure().message
        pair.nothing_else_happened()
        helper.apply(rule(pair.other.address, "entry"))
        pair.nothing_is_open()


@rows(LEAVING)
def test_a_device_that_is_let_go_is_let_go_whatever_is_answered(
    host: FakeHost, helper: Helper, operation: Operation, told: Told
) -> None:
    pair = Pair(host, helper, "entry")
    for number, (code, hint) in told.items():
        pair.plug_in()
        helper.apply(*pair.rules())
        with refused(pair, operation, number, code, hint):
            helper.release(pair.nic.address, "guest")
            assert not helper.device(pair.nic.address).held
        pair.nothing_is_open()


def armed(pair: Pair) -> dict[str, object]:
    return rule(pair.nic.address, "entry-with-wakeup")


@rows(CHANGING)
def test_a_device_that_cannot_leave_its_mode_says_why(
    host: FakeHost, helper: Helper, operation: Operation, told: Told
) -> None:
    pair = Pair(host, helper, "entry")
    for number, (code, hint) in told.items():
        pair.plug_in()
        helper.apply(*pair.rules())
        with refused(pair, operation, number, code, hint):
            helper.apply(armed(pair), rule(pair.other.address, "entry"))
            report = helper.device(pair.nic.address)
            assert (report.state, report.held) == ("stalled", True)
        assert str(pair.nic.address) in pair.failure().message
        pair.nothing_else_happened()
        helper.apply(rule(pair.other.address, "entry"))
        pair.nothing_is_open()


@rows(TAKING, ENTERING)
def test_a_call_that_hangs_is_told_and_delays_nobody(
    host: FakeHost, helper: Helper, operation: Operation, told: Told
) -> None:
    mode = "entry-with-wakeup" if operation is ARMED_ENTRY else "entry"
    pair = Pair(host, helper, mode)
    address = None if operation.of_the_host else pair.nic.address
    gate = host.hold_up(address, operation.name)
    asking = Asking(lambda: helper.apply(*pair.rules()))
    assert gate.reached.wait(10)
    running = helper.device(pair.nic.address).running
    assert running is not None
    assert running.call == ("open" if operation in TAKING else mode)
    helper.pass_time_while_blocked(deadline_of(running.call))
    lasting = helper.device(pair.nic.address).running
    assert lasting is not None
    assert lasting.call == running.call
    assert (lasting.seconds or 0) > deadline_of(running.call), "this is what drift calls stuck"
    assert helper.client.call("GetStatus")["stuck"] == 1
    helper.client.call("Reclaim", {"addresses": [str(pair.other.address)]})
    releasing = Asking(lambda: helper.release(pair.nic.address, "guest"))
    wait_until(lambda: bool(helper.device(pair.nic.address).leases), "it is lent")
    gate.open()
    releasing.answer()
    asking.answer()
    assert helper.client.call("GetStatus")["stuck"] == 0
    pair.nothing_is_open()


def test_a_way_out_of_a_mode_that_hangs_is_told_and_gone_on_from(
    host: FakeHost, helper: Helper
) -> None:
    pair = Pair(host, helper, "entry")
    helper.apply(*pair.rules())
    gate = host.hold_up(pair.nic.address, EXIT.name)
    asking = helper.applying(armed(pair), rule(pair.other.address, "entry"))
    assert gate.reached.wait(10)
    helper.pass_time_while_blocked(deadline_of("exit"))
    running = helper.device(pair.nic.address).running
    assert running is not None
    assert running.call == "exit"
    assert helper.client.call("GetStatus")["stuck"] == 1
    pair.nothing_else_happened()
    gate.open()
    asking.answer()
    helper.until(pair.nic.address, engaged=Mode.ENTRY_WITH_WAKEUP)
    assert helper.client.call("GetStatus")["stuck"] == 0


@pytest.mark.parametrize("operation", [EXIT, CLOSE], ids=lambda it: it.told)
def test_a_release_that_hangs_names_the_call(
    host: FakeHost, helper: Helper, operation: Operation
) -> None:
    pair = Pair(host, helper, "entry")
    helper.apply(*pair.rules())
    gate = host.hold_up(pair.nic.address, operation.name)
    releasing = Asking(lambda: helper.release(pair.nic.address, "guest"))
    assert gate.reached.wait(10)
    helper.clock.ahead += 11
    helper.in_loop(lambda: None)
    with pytest.raises(HelperRefused, match=rf"{pair.nic.address} in close"):
        releasing.answer()
    pair.nothing_else_happened()
    helper.pass_time_while_blocked(deadline_of("close"))
    assert helper.client.call("GetStatus")["stuck"] == 1
    gate.open()
    helper.until(pair.nic.address, state="released")
    helper.settle()
    pair.nothing_is_open()
