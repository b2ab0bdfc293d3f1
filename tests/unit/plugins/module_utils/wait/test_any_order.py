# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens in whatever order, with the helper dying in between: what always holds.

Three devices, two of which share a group. Jobs of devices are done one by one, so that all else
can happen while one is under way.
"""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path
from typing import Any, Optional

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold.rounds import LOOK_AGAIN
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import HoldReport
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from ....conftest import memory
from ..fake.host import FakeHost
from ..hold.helper import rule as declared
from ..hold.simulated import Call, Simulated
from ..searching import SOAK, searching

ADDRESSES = [PciAddress.parse(it) for it in ("0000:02:00.0", "0000:03:00.0", "0000:03:00.1")]
BURST, PER_HOUR = 3, 12
BOUNDS = {"delay": 5, "burst": BURST, "max_per_hour": PER_HOUR}
MODES: dict[str, dict[str, Any]] = {
    "absent": {},
    "none": {"mode": "none"},
    "reserve": {"mode": "none", "reserve": True},
    "entry": {"mode": "entry"},
    "entry-with-wakeup": {"mode": "entry-with-wakeup", "reentry": BOUNDS},
    "no deeper": {"mode": "entry-with-wakeup", "reentry": BOUNDS, "d3cold": "forbid"},
}
MODES_OF_ALL = st.tuples(*[st.sampled_from([*MODES, *["entry-with-wakeup"] * 3])] * len(ADDRESSES))
DEVICES = st.sampled_from(ADDRESSES)
HOLDERS = st.sampled_from(["guest", "admin"])
OPERATIONS = ["node", "open", "irqs", "error-irqs", "probe", "entry", "entry-with-wakeup", "exit"]
ERRORS = [errno.EIO, errno.ENODEV, errno.EINVAL, errno.EBUSY, errno.EACCES]
UNTRUE = ("stalled", "unsure")  # a call failed: nobody knows what is engaged


class AnyOrder(RuleBasedStateMachine):
    """A host, its helper, and everybody who wants something of them."""

    def __init__(self) -> None:
        super().__init__()
        self.rules: list[dict[str, Any]] = []
        self.writers: list[tuple[PciAddress, Call]] = []  # for whom devices are held off
        self.opened: dict[PciAddress, int] = {}  # how often, of those that are lent
        self._folder = tempfile.TemporaryDirectory(prefix="vp", dir=memory())

    @initialize(cdev=st.booleans(), idle_sleeps=st.booleans(), modes=MODES_OF_ALL)
    def start(self, cdev: bool, idle_sleeps: bool, modes: tuple[str, ...]) -> None:
        folder = Path(self._folder.name)
        self.host = FakeHost(folder / "host", cdev=cdev, disable_idle_d3=not idle_sleeps)
        for address, group in zip(ADDRESSES, (1, 2, 2)):
            self.host.add(str(address), group=group)
        (folder / "helper").mkdir()
        self.helper = Simulated(self.host, folder / "helper")
        (self.helper.run / "started").touch()
        self.helper.start()
        self.somebody_converges(modes)
        self.helper.settle()

    def teardown(self) -> None:
        if hasattr(self, "helper"):
            self.helper.die()
            self.helper.end()
            assert not self.helper.unexpected
        self._folder.cleanup()

    # What may happen.

    @rule(modes=MODES_OF_ALL)
    def somebody_converges(self, modes: tuple[str, ...]) -> None:
        wanted = zip(ADDRESSES, modes)
        self.apply([declared(it, **MODES[mode]) for it, mode in wanted if mode != "absent"])

    def apply(self, rules: list[dict[str, Any]]) -> None:
        """Declare rules."""
        generation = self.helper.daemon.keeper.table.declaration.generation
        call = self.helper.call(
            "Apply", rules=rules, exclude=[], expected_generation=generation, timeout=120.0
        )
        assert not call.errors
        self.rules = rules

    @rule(address=DEVICES)
    def somebody_reads_its_config_space(self, address: PciAddress) -> None:
        at_rest, before = self.helper.at_rest, self.wakes(address)
        armed = self.sleeps_armed(address)
        self.host.touch_device(address)
        self.helper.proceed()
        if at_rest:
            assert self.wakes(address) == before + armed

    @rule(address=DEVICES, holder=HOLDERS)
    def somebody_borrows_it(self, address: PciAddress, holder: str) -> None:
        self.helper.call("Release", addresses=[str(address)], holder=holder)

    @rule(address=DEVICES, holder=st.none() | HOLDERS)
    def somebody_gives_it_back(self, address: PciAddress, holder: Optional[str]) -> None:
        self.helper.call("Reclaim", addresses=[str(address)], holder=holder)

    @rule(address=DEVICES, driver=st.sampled_from([None, "vfio-pci"]))
    def its_driver_is_changed(self, address: PciAddress, driver: Optional[str]) -> None:
        if self.host.devices[address].driver is not None:
            self.unbind(address)
        if driver is not None:
            self.host.bind(address, driver)
        self.helper.proceed()

    def unbind(self, address: PciAddress) -> None:
        """Unbind it, which waits for us: without any time passing we have let it go."""
        self.host.begin_unbind(address)
        self.helper.proceed()
        while self.helper.bench.jobs:
            self.helper.work()
        vfio = self.host.devices[address].vfio
        assert vfio is None or not vfio.opens, f"{address} is not let go"
        self.host.end_unbind(address)

    @rule(address=DEVICES, operation=st.sampled_from(OPERATIONS), number=st.sampled_from(ERRORS))
    def its_next_call_will_fail(self, address: PciAddress, operation: str, number: int) -> None:
        self.host.refuse(address, operation, number, times=1)

    @rule(address=DEVICES)
    def it_reports_an_error(self, address: PciAddress) -> None:
        if self.host.devices[address].vfio is not None:
            self.host.report_error(address)
        self.helper.proceed()

    @rule(address=DEVICES)
    def somebody_trusts_it_again(self, address: PciAddress) -> None:
        self.helper.call("Clear", addresses=[str(address)])

    @rule(address=DEVICES, allowed=st.booleans())
    def somebody_changes_its_policy(self, address: PciAddress, allowed: bool) -> None:
        self.host.write_d3cold_allowed(address, allowed=allowed)
        self.helper.proceed()

    @rule(address=DEVICES)
    def a_task_wants_to_write_its_policy(self, address: PciAddress) -> None:
        call = self.helper.call("HoldOff", more=True, addresses=[str(address)])
        self.writers.append((address, call))

    @rule(allowed=st.booleans())
    def the_task_writes_and_leaves(self, allowed: bool) -> None:
        if not self.writers:
            return
        address, call = self.writers.pop(0)
        told = self.helper.reports().get(address)
        sure = call.answers and not call.answers[-1]["pending"]
        before = self.wakes(address)
        if sure and told and told.state not in UNTRUE:
            vfio = self.host.devices[address].vfio
            assert vfio is None or not vfio.engaged, f"{address} is armed"
            self.host.write_d3cold_allowed(address, allowed=allowed)
            self.helper.proceed()
            assert self.wakes(address) == before
        call.leave()
        self.helper.proceed()

    def everybody_leaves(self) -> None:
        """Let no device be held off any more."""
        for _address, call in self.writers:
            call.leave()
        self.writers.clear()
        self.helper.proceed()

    @rule(method=st.sampled_from(["Pause", "Resume"]))
    def somebody_pauses_or_resumes(self, method: str) -> None:
        self.helper.call(method)

    @rule(seconds=st.sampled_from([0.5, 5.0, 30.0, 61.0, 900.0, 86400.0]))
    def time_passes(self, seconds: float) -> None:
        self.helper.clock.ahead += seconds
        self.helper.proceed()

    @rule(seconds=st.sampled_from([-864000.0, -3600.0, -1.0, 1.0, 3600.0, 864000.0]))
    def somebody_sets_the_clock(self, seconds: float) -> None:
        self.helper.set_ahead += seconds
        self.helper.proceed()

    @rule(turn=st.integers(0, 3))
    def a_job_ends(self, turn: int) -> None:
        self.helper.work(turn)

    @rule()
    def everything_under_way_ends(self) -> None:
        self.helper.settle()

    def die(self, undone: int = 0) -> None:
        """Let the helper die, and with it every connection."""
        self.writers.clear()
        self.helper.die(undone)

    @rule(undone=st.integers(0, 2))
    def the_helper_is_killed(self, undone: int) -> None:
        self.die(undone)
        self.helper.start()

    @rule(woken=st.none() | DEVICES)
    def the_helper_is_killed_at_rest(self, woken: Optional[PciAddress]) -> None:
        self.everybody_leaves()
        self.helper.settle()
        self.helper.clock.ahead += LOOK_AGAIN  # what it would do at the next look, it does now
        self.helper.proceed()
        self.helper.settle()
        known = self.helper.reports()
        calls = {address: self.calls(address) for address in known}
        expected = {it: self.wakes(it) + (it == woken and self.sleeps_armed(it)) for it in known}
        self.die()
        if woken is not None:
            self.host.touch_device(woken)
        self.helper.start()
        assert {address: self.wakes(address) for address in known} == expected
        self.helper.settle()
        for address, report in known.items():
            if report.held:
                assert self.calls(address) == calls[address], f"{address} was called"

    @rule()
    def the_host_loses_its_power(self) -> None:
        self.die()
        self.helper.store.clear()
        self.helper.next_boot()
        self.helper.start()

    @rule(address=DEVICES)
    def somebody_reads_it_again_and_again(self, address: PciAddress) -> None:
        self.helper.settle()
        before, seconds = self.entries(address), 0.0
        for _time in range(40):
            self.host.touch_device(address)
            self.helper.proceed()
            self.helper.clock.ahead += 10.0
            seconds += 10.0
            self.helper.proceed()
            self.helper.settle()
        # One more was under way, and one wake may have been our own.
        most = BURST + seconds * PER_HOUR / 3600 + 2
        assert self.entries(address) - before <= most

    @rule()
    def somebody_converges_and_a_quiet_day_passes(self) -> None:
        self.everybody_leaves()
        self.apply(self.rules)
        for _day in range(2):  # the end of one grace or wait may begin another
            self.helper.settle()
            self.helper.clock.ahead += 86400.0
            self.helper.proceed()
        self.helper.settle()
        reports, paused = self.helper.reports(), self.paused
        for wanted in self.rules:
            address = PciAddress.parse(wanted["address"])
            report = reports[address]
            excused = paused or report.quarantined or report.failure or self.is_lent(address)
            if not excused and self.host.devices[address].vfio is not None:
                self.has_what_is_declared(report, wanted)

    def has_what_is_declared(self, report: HoldReport, wanted: dict[str, Any]) -> None:
        """See a device under its rule: nobody and nothing stands in the way."""
        assert report.engaged is Mode(wanted["mode"]), report
        assert report.held is (wanted["mode"] != "none" or bool(wanted.get("reserve"))), report

    # What always holds.

    @invariant()
    def what_was_declared_is_still_declared(self) -> None:
        found = self.helper.daemon.keeper.table.declaration.rules
        assert [(it.name, it.mode.value, it.reserve) for it in found] == [
            (it["name"], it["mode"], it.get("reserve", False)) for it in self.rules
        ]

    @invariant()
    def every_answer_is_as_the_text_says(self) -> None:
        assert not self.helper.told_wrongly

    @invariant()
    def nothing_is_overdue(self) -> None:
        assert all(timers.patience() > 0 for timers in self.helper.daemon.loop.timers)

    @invariant()
    def at_rest_all_is_as_it_is_told(self) -> None:
        if not self.helper.at_rest:
            return
        reports = self.helper.reports()
        held = [address for address in ADDRESSES if address in reports and reports[address].held]
        groups = {self.host.devices[address].group for address in held}
        assert self.helper.store.count == 4 * len(held) + len(groups)
        for address in ADDRESSES:
            vfio = self.host.devices[address].vfio
            assert bool(vfio and vfio.opens) is (address in held), address
            if vfio is None or address not in held or reports[address].state in UNTRUE:
                continue
            assert vfio.engaged is (reports[address].engaged is not Mode.NONE), reports[address]
            assert vfio.armed is (reports[address].engaged is Mode.ENTRY_WITH_WAKEUP)

    @invariant()
    def at_rest_nothing_is_armed_that_is_held_off(self) -> None:
        reports = self.helper.reports()
        for address, _call in self.writers if self.helper.at_rest else ():
            assert address not in reports or reports[address].engaged is Mode.NONE, address

    @invariant()
    def at_rest_nobody_else_s_device_is_held(self) -> None:
        if not self.helper.at_rest:
            return
        holds = (it for it in self.rules if it["mode"] != "none" or it.get("reserve"))
        allowed = {rule["address"] for rule in holds}
        for address, report in self.helper.reports().items():
            barred = self.is_lent(address) or report.quarantined or self.paused
            assert not (report.held and barred), report
            assert not report.held or str(address) in allowed

    @invariant()
    def nobody_opens_what_is_lent(self) -> None:
        for address in ADDRESSES:
            if not self.is_lent(address):
                self.opened.pop(address, None)
            elif self.helper.at_rest or address in self.opened:
                opens = self.opens(address)
                assert self.opened.setdefault(address, opens) == opens, f"{address} was opened"

    def is_lent(self, address: PciAddress) -> bool:
        """Tell whether the device, or one of its unit, is lent."""
        keeper = self.helper.daemon.keeper
        return any(keeper.leases_on(member) for member in keeper.unit(address))

    @property
    def paused(self) -> bool:
        """Tell whether the helper stands back."""
        return bool(self.helper.daemon.keeper.bars.pausing.reason)

    def wakes(self, address: PciAddress) -> int:
        """Return how many foreign wakes were counted."""
        report = self.helper.reports().get(address)
        return report.wakes.foreign if report and report.wakes else 0

    def sleeps_armed(self, address: PciAddress) -> bool:
        """Tell whether a reader would wake a device, and low power would end."""
        device = self.host.devices[address]
        return bool(device.vfio and device.vfio.armed) and device.function.power_state == "D3cold"

    def calls(self, address: PciAddress) -> int:
        """Return how often the kernel was asked for a device."""
        return sum(call.address == address for call in self.host.calls)

    def opens(self, address: PciAddress) -> int:
        """Return how often a device was opened, or its node."""
        calls = (it for it in self.host.calls if it.address == address)
        return sum(it.operation in ("node", "open") for it in calls)

    def entries(self, address: PciAddress) -> int:
        """Return how often a device was entered such that a wake is seen."""
        calls = (it for it in self.host.calls if it.address == address)
        return sum(it.operation == "entry-with-wakeup" for it in calls)


def test_whatever_happens_in_whatever_order() -> None:
    lived = settings(searching, max_examples=40 * SOAK, stateful_step_count=40)
    run_state_machine_as_test(AnyOrder, settings=lived)  # type: ignore[no-untyped-call]
