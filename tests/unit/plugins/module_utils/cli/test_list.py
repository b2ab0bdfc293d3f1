# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table that a person reads, to the letter, and the exit statuses that scripts read."""

from __future__ import annotations

import re
from textwrap import dedent
from typing import Any

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import (
    Rule,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Expect, Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    Failure,
    HoldReport,
    Lease,
    Wakes,
)

from ..fake.host import FakeDevice
from ..touch.scene import NOW, Scene
from .running import ctl


def rule(name: str, device: FakeDevice, mode: Mode, **options: Any) -> Rule:
    expect = Expect.ASLEEP if mode is not Mode.NONE else Expect.ANY
    return Rule(name, device.address, mode, **{"expect": expect, **options})


@pytest.fixture
def devices(scene: Scene) -> list[FakeDevice]:
    """A card that sleeps, one that was woken, one reserved, one lent, and one not declared."""
    gpu = scene.add("0000:02:00.0", "NVIDIA Corporation GA102 [GeForce RTX 3090]")
    nic = scene.add("0000:03:00.0", "Intel Corporation 82574L Gigabit Network Connection")
    disk = scene.add("0000:04:00.0", "Samsung Electronics Co Ltd NVMe SSD", depth="D3hot")
    lent = scene.add("0000:05:00.0", "Intel Corporation 82574L Gigabit Network Connection")
    scene.declare(
        rule("gpus", gpu, Mode.ENTRY),
        rule("nics", nic, Mode.ENTRY_WITH_WAKEUP),
        rule("disks", disk, Mode.NONE, reserve=True, expect=Expect.AWAKE),
        rule("lent", lent, Mode.ENTRY),
    )
    scene.hold(gpu, state="entry", engaged=Mode.ENTRY, entered=NOW - 60)
    scene.fall_asleep(gpu)
    scene.hold(nic, state="waiting", wakes=Wakes(3, 1, NOW), waiting_until=NOW + 5)
    scene.hold(disk, state="awake")
    lease = Lease(lent.address, "guest/web", NOW)
    scene.reports[lent.address] = HoldReport(lent.address, "lent", leases=(lease,))
    scene.use(lent, 812, "qemu-system-x86")
    return [gpu, nic, disk, lent, scene.add("0000:06:00.0")]


def listed(scene: Scene, *words: str, **environ: Any) -> str:
    with scene.serve():
        ran = ctl(scene, "list", *words, **environ)
    assert ran.err == ""
    assert ran.status == 0
    return ran.out


@pytest.mark.usefixtures("devices")
def test_on_a_wide_screen_everything_is_there(scene: Scene) -> None:
    lines = listed(scene, COLUMNS="140").splitlines()
    assert lines[0].split() == ["ADDRESS", "MODEL", "RULE", "MODE", "HELD", "REACHED", "WAKES"]
    assert [line.split("  ")[1].strip() for line in lines[1:6]] == [
        "NVIDIA GA102 [GeForce RTX 3090]",
        "Intel 82574L Gigabit Network Connection",
        "Samsung Electronics NVMe SSD",
        "Intel 82574L Gigabit Network Connection",
        "8086:10d3",
    ]
    assert lines[4].endswith("leased   in use by qemu-system-x86 (pid 812)  -")


@pytest.mark.usefixtures("devices")
def test_on_eighty_columns_the_model_gives_way_first(scene: Scene) -> None:
    assert listed(scene) == dedent("""\
        ADDRESS       RULE   MODE               HELD     REACHED                   WAKES
        0000:02:00.0  gpus   entry              engaged  asleep D3cold             -
        0000:03:00.0  nics   entry-with-wakeup  waiting  awake D0                  1/3
        0000:04:00.0  disks  none, reserved     held     awake D0                  -
        0000:05:00.0  lent   entry              leased   in use by qemu-system-x…  -
        0000:06:00.0  -      -                  -        awake D0                  -

        4 declared, 3 held, 1 asleep, 4 awake, 1 excused, no drift
        vfio-powerctl show ADDRESS says more of a device
    """)


def asleep_and_held(scene: Scene, **options: Any) -> FakeDevice:
    nic = scene.add("0000:03:00.0", "Intel Corporation 82574L Gigabit Network Connection")
    scene.declare(rule("nics", nic, Mode.ENTRY))
    scene.hold(nic, **{"state": "entry", "engaged": Mode.ENTRY, "entered": NOW - 60, **options})
    scene.fall_asleep(nic)
    return nic


def test_with_room_left_the_model_is_only_shortened(scene: Scene) -> None:
    asleep_and_held(scene)
    assert listed(scene) == dedent("""\
        ADDRESS       MODEL                          RULE  MODE   HELD     REACHED
        0000:03:00.0  Intel 82574L Gigabit Network…  nics  entry  engaged  asleep D3cold

        1 declared, 1 held, 1 asleep, 0 awake, no drift
    """)


def test_drift_is_named_in_a_column_of_its_own(scene: Scene) -> None:
    nic = scene.add("0000:03:00.0")
    scene.declare(rule("nics", nic, Mode.ENTRY))
    failure = Failure("kernel-refused", "0000:03:00.0: cannot open: EIO", "Look", "open", "EIO")
    scene.reports[nic.address] = HoldReport(
        nic.address, "nics", "refused", wakes=Wakes(), failure=failure
    )
    assert listed(scene) == dedent("""\
        ADDRESS       MODEL      RULE  MODE   HELD     REACHED   WAKES  DRIFT
        0000:03:00.0  8086:10d3  nics  entry  refused  awake D0  0/0    kernel-refused

        1 declared, 0 held, 0 asleep, 1 awake, 1 drift
        vfio-powerctl show ADDRESS says more of a device
    """)


def test_without_any_device_it_says_so(scene: Scene) -> None:
    assert listed(scene) == dedent("""\
        No device is declared, and none is bound to a VFIO driver.
        To bind one: driverctl set-override ADDRESS vfio-pci
        0 declared, 0 held, 0 asleep, 0 awake, no drift
    """)


def test_without_the_helper_it_shows_the_rest_and_says_so(scene: Scene) -> None:
    nic = scene.add("0000:03:00.0")
    scene.declare(rule("nics", nic, Mode.ENTRY))
    scene.install()
    ran = ctl(scene, "list")
    assert ran.status == 0
    assert "The helper is not there: no socket" in ran.err
    assert ran.out == dedent("""\
        ADDRESS       MODEL      RULE  MODE   HELD  REACHED   DRIFT
        0000:03:00.0  8086:10d3  nics  entry  ?     awake D0  not-suspended

        helper-down: the helper is installed and does not answer on its socket
          Look at: systemctl status vfio-powerd.service
        1 declared, 0 held, 0 asleep, 1 awake, 2 drift
        vfio-powerctl show ADDRESS says more of a device
    """)


def test_without_root_it_says_what_cannot_be_seen(scene: Scene) -> None:
    scene.add("0000:03:00.0")
    ran = ctl(scene, "list", root=False)
    assert ran.status == 0
    assert "without root" in ran.err
    assert "0000:03:00.0" in ran.out


def test_what_was_not_seen_is_not_called_fine(scene: Scene) -> None:
    scene.add("0000:03:00.0")
    ran = ctl(scene, "list", "--check", root=False)
    assert ran.status == 3
    assert ran.out.splitlines()[-1] == "0 asleep, 1 awake, drift unknown"
    assert "is not known" in ran.err
    document = ctl(scene, "list", "--check", "--json", root=False).json
    assert document["drifted"] is None


def test_without_root_and_devices_it_does_not_say_that_none_is_declared(scene: Scene) -> None:
    out = ctl(scene, "list", root=False).out
    assert out == "No device is bound to a VFIO driver.\n0 asleep, 0 awake, drift unknown\n"


def test_check_exits_with_one_when_there_is_drift_and_only_then(scene: Scene) -> None:
    nic = asleep_and_held(scene)
    with scene.serve():
        assert ctl(scene, "list", "--check").status == 0
        scene.hold(nic, state="awake")
        assert ctl(scene, "list", "--check").status == 1
        assert ctl(scene, "list").status == 0
        scene.reports[nic.address] = HoldReport(
            nic.address, leases=(Lease(nic.address, "guest/web", NOW),)
        )
        assert ctl(scene, "list", "--check").status == 0


def test_json_has_the_same_for_machines(scene: Scene) -> None:
    asleep_and_held(scene)
    with scene.serve():
        document = ctl(scene, "list", "--json", terminal=True).json
    (device,) = document["devices"]
    assert device["engaged"] == "entry"
    assert document["helper"]["running"] is True
    assert document["summary"]["asleep"] == 1
    assert document["drifted"] is False


def test_colours_are_for_terminals_and_those_who_want_them(scene: Scene) -> None:
    asleep_and_held(scene)
    with scene.serve():
        coloured = ctl(scene, "list", terminal=True).out
        assert "\033[32masleep D3cold\033[0m" in coloured
        assert "\033" not in ctl(scene, "list").out
        assert "\033" not in ctl(scene, "list", terminal=True, NO_COLOR="1").out
        assert "\033" not in ctl(scene, "list", terminal=True, TERM="dumb").out
        plain = re.sub("\033\\[[0-9]*m", "", coloured)
        assert plain == ctl(scene, "list").out
