# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The helper is told to stand back and to come back, and how it stands is shown."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import Rule
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Expect, Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    Failure,
    HoldReport,
    Quarantined,
    Running,
)

from ..fake.host import FakeDevice
from ..touch.scene import NOW, Scene
from .running import Ran, ctl

SWITCH = "there is a file /etc/vfio-power/off"


@pytest.fixture
def nic(scene: Scene) -> FakeDevice:
    device = scene.add("0000:03:00.0")
    selector: PciAddress = device.address
    scene.declare(Rule("nics", selector, Mode.ENTRY, expect=Expect.ASLEEP))
    return device


def run(scene: Scene, *words: str) -> Ran:
    with scene.serve():
        return ctl(scene, *words)


def test_pause_says_how_it_ends(scene: Scene, nic: FakeDevice) -> None:
    scene.status["paused"] = "it was asked to"
    ran = run(scene, "pause")
    assert ran.status == 0
    assert "vfio-powerctl resume" in ran.out
    assert scene.asked == [("Pause", {})]


def test_resume_counts_what_is_held(scene: Scene, nic: FakeDevice) -> None:
    scene.hold(nic, rule="nics", engaged=Mode.ENTRY)
    assert run(scene, "resume") == (0, "resumed: 1 held\n", "")


def test_resume_on_a_host_that_is_switched_off_is_refused(scene: Scene, nic: FakeDevice) -> None:
    scene.status["paused"] = SWITCH
    ran = run(scene, "resume")
    assert (ran.status, ran.out) == (1, "still paused\n")
    assert SWITCH in ran.err


def test_resume_names_what_could_not_be_taken(scene: Scene, nic: FakeDevice) -> None:
    failure = Failure("kernel-refused", "0000:03:00.0: cannot open: EIO", "Look at the log")
    scene.reports[nic.address] = HoldReport(nic.address, "nics", "refused", failure=failure)
    ran = run(scene, "resume")
    assert (ran.status, ran.out) == (1, "resumed: 0 held\n")
    assert "cannot open: EIO. Look at the log" in ran.err


def test_resume_is_done_though_a_quirk_keeps_a_device_awake(scene: Scene, nic: FakeDevice) -> None:
    failure = Failure("awake-by-quirk", "0000:03:00.0: is left awake", "Have 0 written")
    scene.hold(nic, rule="nics", failure=failure)
    assert run(scene, "resume") == (0, "resumed: 1 held\n", "")


def test_a_pause_that_hangs_is_refused_with_what_hangs(scene: Scene, nic: FakeDevice) -> None:
    pending = [{"address": "0000:03:00.0", "call": "close", "since": NOW, "seconds": 60}]
    scene.refusal = ("Timeout", {"pending": pending})
    ran = run(scene, "pause")
    assert ran.status == 1
    assert "0000:03:00.0 in close" in ran.err


def test_without_the_helper_there_is_nobody_to_pause(scene: Scene, nic: FakeDevice) -> None:
    for word in ("pause", "resume"):
        assert ctl(scene, word).status == 3


def test_json_says_why_it_is_paused(scene: Scene, nic: FakeDevice) -> None:
    scene.status["paused"] = SWITCH
    scene.reports[nic.address] = HoldReport(nic.address, "nics")
    document = run(scene, "pause", "--json").json
    assert document["paused"] == SWITCH
    assert [it["address"] for it in document["devices"]] == ["0000:03:00.0"]


def test_a_paused_host_is_shown_as_excused(scene: Scene, nic: FakeDevice) -> None:
    scene.status["paused"] = SWITCH
    scene.reports[nic.address] = HoldReport(nic.address, "nics")
    with scene.serve():
        listed = ctl(scene, "list", "--check")
        document = ctl(scene, "list", "--json").json
    assert listed.status == 0
    assert SWITCH in listed.out
    assert document["helper"]["paused"] == SWITCH
    assert [it["code"] for it in document["devices"][0]["drift"]] == ["paused"]


def test_a_device_in_quarantine_is_shown_with_the_reason(scene: Scene, nic: FakeDevice) -> None:
    why = Quarantined("quarantined", "0000:03:00.0: the host died while it was armed", NOW)
    scene.reports[nic.address] = HoldReport(nic.address, "nics", quarantined=why)
    with scene.serve():
        shown = ctl(scene, "show", "03:00.0")
        listed = ctl(scene, "list", "--check")
        document = ctl(scene, "show", "03:00.0", "--json").json
    assert "quarantine since 2023-11-14 22:13:20: 0000:03:00.0: the host died" in shown.out
    assert "vfio-powerctl clear 0000:03:00.0" in shown.out
    assert listed.status == 1
    assert "quarantined" in listed.out
    assert document["quarantined"] == {
        "code": "quarantined",
        "message": why.message,
        "since": "2023-11-14T22:13:20Z",
    }


def test_a_call_that_is_stuck_is_told_everywhere(scene: Scene, nic: FakeDevice) -> None:
    running = Running("open", NOW - 100, 100.0)
    scene.reports[nic.address] = HoldReport(nic.address, "nics", "taking", running=running)
    scene.status.update(workers=16, stuck=16)
    with scene.serve():
        shown = ctl(scene, "show", "03:00.0", "--check")
        listed = ctl(scene, "list", "--check")
    assert shown.status == listed.status == 1
    assert "open has not returned from the kernel for 100 s" in shown.out
    assert "stuck" in listed.out
    assert "all 16 workers of the helper hang in the kernel" in listed.out
