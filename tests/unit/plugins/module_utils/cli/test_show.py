# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that is known of one device, as a page that a person reads."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.quirks import Loaded
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.allowance import (
    Allowance,
    HostPolicy,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import Rule
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import Power
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.history import (
    History,
    Incident,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Expect, Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.quirk import Kind, Quirk
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    HoldReport,
    Lease,
    Reentries,
    Running,
    Wakes,
)

from ..fake.host import FakeDevice
from ..touch.scene import NOW, Scene
from .running import ctl

RULE = Rule("nics", PciAddress.parse("03:00.0"), Mode.ENTRY_WITH_WAKEUP, expect=Expect.ASLEEP)
OTHER = Rule("other", PciAddress.parse("03:00.1"), Mode.ENTRY, expect=Expect.ANY)


@pytest.fixture
def nic(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> FakeDevice:
    """Two functions of a card below one port; the times that they slept are always the same."""
    port = scene.host.add_port("0000:00:1c.0")
    nic = scene.add("0000:03:00.0", "Intel Corporation 82574L", port=port, resets=("bus",))
    scene.add("0000:03:00.1", port=port, group=nic.group, resets=("bus",))
    scene.declare(RULE)
    power = Power("D3cold", "suspended", "auto", active_ms=62_500, suspended_ms=11_520_000)
    monkeypatch.setattr(scene.host.sysfs, "power", lambda _address: power)
    return nic


def shown(scene: Scene, *words: str) -> str:
    with scene.serve():
        ran = ctl(scene, "show", *words)
    assert ran.err == ""
    assert ran.status == 0
    return ran.out


def test_a_declared_host_policy_is_shown(scene: Scene, nic: FakeDevice) -> None:
    scene.declare(RULE._replace(policy=HostPolicy(d3cold=Allowance.FORBID)))
    scene.host.write_d3cold_allowed(nic.address, allowed=False)
    assert "host policy: d3cold forbid\n" in shown(scene, str(nic.address))


def test_a_card_that_has_a_history(scene: Scene, nic: FakeDevice) -> None:
    last = tuple(Incident(NOW - 60 * n, "own" if n == 2 else "foreign", n) for n in range(1, 4))
    history = History(NOW - 86400, 2, 9, 10, last, asleep_before=80_000.0, awake_before=600.0)
    scene.hold(nic, history=history)
    told = """\
        history    since 2023-11-13 22:13:20: asleep 1 d 1 h, awake 11 min 2 s
                   11 wakes, 9 of them by somebody else; the last 3 of 10 incidents
                   2023-11-14 22:12:20 by somebody else
                   2023-11-14 22:11:20 by our own work, 2 devices at once
                   2023-11-14 22:10:20 by somebody else, 3 devices at once
    """
    assert indent(dedent(told), "  ").rstrip(" ") in shown(scene, "03:00.0")


def test_a_device_that_sleeps(scene: Scene, nic: FakeDevice) -> None:
    scene.declare(RULE, OTHER)
    scene.hold(
        nic,
        state="entry-with-wakeup",
        engaged=Mode.ENTRY_WITH_WAKEUP,
        entered=NOW - 60,
        wakes=Wakes(3, 1, NOW - 65),
    )
    assert shown(scene, "03:00.0") == dedent("""\
        0000:03:00.0  Intel Corporation 82574L
          card       8086:10d3 (subsystem 8086:a01f, class 020000)
          driver     vfio-pci, IOMMU group 1
          declared   entry-with-wakeup, expected asleep (rule nics)
          held       yes, by group, entry-with-wakeup engaged since 2023-11-14 22:12:20
          reached    asleep D3cold
                     asleep 3 h 12 min, awake 1 min 2 s in all (0.5 % of the time)
          wakes      3, 1 of them by somebody else, the last 2023-11-14 22:12:15
          re-entry   5 s after a wake, at most 60 an hour and 10 in a row
          unit       0000:03:00.0 0000:03:00.1 (released and taken together)
          power set  0000:03:00.0 0000:03:00.1 (below one port: they wake together)
    """)


def test_a_device_that_was_woken_and_waits(scene: Scene, nic: FakeDevice) -> None:
    scene.hold(nic, state="waiting", waiting_until=NOW + 5, wakes=Wakes(1, 1, NOW))
    page = shown(scene, "03:00.0")
    assert "  held       yes, by group, no low power engaged\n" in page
    assert "             woken; entering again at 22:13:25\n" in page
    assert "  drift      waiting (info)\n" in page


def test_a_device_that_is_left_awake_in_a_storm(scene: Scene, nic: FakeDevice) -> None:
    storm = Reentries("open", "breaker", 3, storm_wakes=8, storm_seconds=47.2)
    scene.hold(nic, state="waiting", waiting_until=NOW + 900, wakes=Wakes(8, 8), reentries=storm)
    page = shown(scene, "03:00.0")
    assert "             breaker open: 8 wakes in 47 s; left awake until 22:28:20\n" in page
    assert "             3 put off so far\n" in page
    assert "  drift      wake-storm\n" in page


def test_a_device_that_is_tried_after_a_storm(scene: Scene, nic: FakeDevice) -> None:
    tried = Reentries("half-open", None, 3, storm_wakes=8, storm_seconds=47.2)
    engaged = Mode.ENTRY_WITH_WAKEUP
    scene.hold(nic, state="entry-with-wakeup", engaged=engaged, reentries=tried)
    page = shown(scene, "03:00.0")
    assert "             breaker half-open: being tried after a storm of 8 wakes in 47 s\n" in page


def test_a_device_that_waits_for_its_turn(scene: Scene, nic: FakeDevice) -> None:
    late = Reentries("closed", "bucket", 1)
    scene.hold(nic, state="waiting", waiting_until=NOW + 42, wakes=Wakes(1, 1), reentries=late)
    page = shown(scene, "03:00.0")
    assert "             put off until the bound per hour allows it\n" in page
    assert "  drift      waiting (info)\n" in page


def test_in_entry_nothing_is_bounded_and_the_time_awake_is_told(
    scene: Scene, nic: FakeDevice
) -> None:
    scene.declare(Rule("nics", nic.address, Mode.ENTRY, expect=Expect.ASLEEP))
    scene.hold(nic, state="entry", engaged=Mode.ENTRY)
    page = shown(scene, "03:00.0")
    assert "re-entry" not in page
    assert "awake 1 min 2 s in all (0.5 % of the time)\n" in page


def test_a_device_on_loan(scene: Scene, nic: FakeDevice) -> None:
    lease = Lease(nic.address, "guest/web", NOW, NOW + 3600)
    scene.reports[nic.address] = HoldReport(nic.address, "nics", leases=(lease,))
    scene.use(nic, 812, "qemu-system-x86")
    page = shown(scene, "0000:03:00.0")
    assert "  held       no\n" in page
    assert "  reached    in use by qemu-system-x86 (pid 812)\n" in page
    until = "2023-11-14 22:13:20, until 2023-11-14 23:13:20"
    assert f"  lease      to guest/web since {until}\n" in page
    assert "  drift      leased (excused)\n" in page


def test_a_call_under_way_is_named(scene: Scene, nic: FakeDevice) -> None:
    running = Running("open", NOW - 120, 120.0)
    scene.reports[nic.address] = HoldReport(nic.address, "nics", "taking", running=running)
    page = shown(scene, "03:00.0")
    assert "             open is under way since 22:11:20\n" in page
    assert "  drift      stuck\n" in page


def test_a_call_that_waits_for_its_turn_is_not_said_to_be_under_way(
    scene: Scene, nic: FakeDevice
) -> None:
    running = Running("open", NOW - 120)
    scene.reports[nic.address] = HoldReport(nic.address, "nics", "taking", running=running)
    assert "             open waits for its turn since 22:11:20\n" in shown(scene, "03:00.0")


def test_drift_comes_with_its_sentence_and_the_next_step(scene: Scene, nic: FakeDevice) -> None:
    scene.host.unbind(nic.address)
    lines = shown(scene, "03:00.0").splitlines()
    start = lines.index("  drift      not-bound")
    assert "on no driver, not on a VFIO driver" in lines[start + 1]
    assert "driverctl set-override 0000:03:00.0 vfio-pci" in lines[start + 2]


def test_check_exits_with_one_when_this_device_drifts(scene: Scene, nic: FakeDevice) -> None:
    with scene.serve():
        assert ctl(scene, "show", "--check", "03:00.0").status == 1
        assert ctl(scene, "show", "--check", "03:00.1").status == 0


def test_check_is_not_fine_where_the_helper_or_root_would_be_needed_to_know(
    scene: Scene, nic: FakeDevice
) -> None:
    assert ctl(scene, "show", "--check", "03:00.0").status == 3  # no helper, and it has to hold it
    assert ctl(scene, "show", "--check", "03:00.1").status == 0
    assert ctl(scene, "show", "--check", "03:00.0", root=False).status == 3
    scene.install()
    for address in ("03:00.0", "03:00.1"):
        ran = ctl(scene, "show", "--check", address)
        assert ran.status == 3  # asleep as declared, but perhaps held by mistake
        assert "is not known" in ran.err


def test_what_a_device_does_not_take_is_told_with_reason_and_source(
    scene: Scene, nic: FakeDevice
) -> None:
    quirk = Quirk(nic.address, Kind.NO_D3COLD, "it does not come back", "ticket 12")
    scene.known_bad = Loaded((quirk,))
    scene.hold(nic)
    told = "  quirk      no-d3cold: it does not come back, says ticket 12\n"
    assert told in shown(scene, "03:00.0")


def test_json_has_the_same_for_machines(scene: Scene, nic: FakeDevice) -> None:
    scene.hold(nic, engaged=Mode.ENTRY)
    with scene.serve():
        document = ctl(scene, "show", "--json", "03:00.0").json
    assert document["address"] == str(nic.address)
    assert document["suspended_seconds"] == 11520.0


def test_a_declared_device_that_is_gone_is_shown(scene: Scene) -> None:
    nic = scene.add("0000:03:00.0")
    scene.declare(Rule("nics", nic.address, Mode.ENTRY, expect=Expect.ASLEEP))
    scene.host.unplug(nic.address)
    page = shown(scene, "03:00.0")
    assert "  card       8086:10d3" in page
    assert "when it was last seen" in page
    assert "  reached    not on the bus\n" in page
    assert "  drift      device-missing\n" in page


def test_an_address_without_a_device_is_refused(scene: Scene) -> None:
    with scene.serve():
        ran = ctl(scene, "show", "7f:00.0")
    what = "0000:7f:00.0 is not on the PCI bus, and not declared"
    assert ran == (1, "", f"vfio-powerctl: {what}. vfio-powerctl list has those that are\n")


def test_without_the_helper_the_rest_is_shown(scene: Scene, nic: FakeDevice) -> None:
    scene.install()
    ran = ctl(scene, "show", str(nic.address))
    assert ran.status == 0
    assert "The helper is not there" in ran.err
    assert "  held       unknown: the helper could not be asked\n" in ran.out
    assert Path(scene.client.path).exists() is False
