# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices are given to a holder and taken back, and what stands in the way is said."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    Failure,
    HoldReport,
    Lease,
    Quarantined,
)

from ..fake.host import FakeDevice
from ..touch.scene import NOW, Scene
from .running import Ran, ctl


@pytest.fixture
def nic(scene: Scene) -> FakeDevice:
    return scene.add("0000:03:00.0")


def run(scene: Scene, *words: str) -> Ran:
    with scene.serve():
        return ctl(scene, *words)


def lent(scene: Scene, nic: FakeDevice, *holders: str, until: Any = None) -> None:
    leases = tuple(Lease(nic.address, holder, NOW, until) for holder in holders)
    scene.reports[nic.address] = HoldReport(nic.address, "nics", leases=leases)


def test_release_asks_for_all_and_names_the_holder(scene: Scene, nic: FakeDevice) -> None:
    lent(scene, nic, "guest/web")
    ran = run(scene, "release", "03:00.0", "--holder", "guest/web")
    assert ran == (0, "0000:03:00.0  given to guest/web until the next boot\n", "")
    parameters = {"addresses": ["0000:03:00.0"], "all": False, "holder": "guest/web", "ttl": None}
    assert scene.asked == [("Release", parameters)]


def test_release_of_all_leaves_it_to_the_helper_which_devices_these_are(
    scene: Scene, nic: FakeDevice
) -> None:
    lent(scene, nic, "maintenance")
    ran = run(scene, "release", "--all", "--holder", "maintenance", "--ttl", "60")
    parameters = {"addresses": [], "all": True, "holder": "maintenance", "ttl": 60}
    assert scene.asked == [("Release", parameters)]
    assert ran.out == "0000:03:00.0  given to maintenance until the next boot\n"


def test_release_of_all_needs_no_holder(scene: Scene, nic: FakeDevice) -> None:
    lent(scene, nic, "admin")
    ran = run(scene, "release", "--all")
    assert ran.out == "0000:03:00.0  given to admin until the next boot\n"


def test_release_of_some_devices_needs_a_holder(scene: Scene) -> None:
    ran = run(scene, "release", "03:00.0")
    assert (ran.status, scene.asked) == (2, [])


@pytest.mark.parametrize("words", [[], ["--all", "03:00.0"]])
def test_release_wants_either_devices_or_all_of_them(scene: Scene, words: list[str]) -> None:
    ran = run(scene, "release", "--holder", "guest/web", *words)
    assert (ran.status, scene.asked) == (2, [])


def test_release_for_a_time_says_until_when(scene: Scene, nic: FakeDevice) -> None:
    lent(scene, nic, "guest/web", until=NOW + 90)
    ran = run(scene, "release", "03:00.0", "--holder", "guest/web", "--ttl", "90")
    assert ran.out == "0000:03:00.0  given to guest/web until 2023-11-14 22:14:50\n"
    assert scene.asked[0][1]["ttl"] == 90


def test_a_release_that_hangs_is_refused_with_what_hangs(scene: Scene, nic: FakeDevice) -> None:
    pending = [{"address": "0000:03:00.0", "call": "close", "since": NOW, "seconds": 9}]
    scene.refusal = ("Timeout", {"pending": pending, "holder": "guest/web"})
    ran = run(scene, "release", "03:00.0", "--holder", "guest/web")
    assert ran.status == 1
    assert "0000:03:00.0 in close" in ran.err
    assert "the lease of guest/web stays" in ran.err
    assert ran.out == ""


def test_a_device_that_did_not_come_back_is_named_and_the_release_fails(
    scene: Scene, nic: FakeDevice
) -> None:
    disk = scene.add("0000:04:00.0")
    lent(scene, nic, "guest/web")
    lent(scene, disk, "guest/web")
    failure = Failure("power-error", "0000:03:00.0: did not come back from D3cold", "Reset it")
    scene.reports[nic.address] = scene.reports[nic.address]._replace(failure=failure)
    ran = run(scene, "release", "03:00.0", "04:00.0", "--holder", "guest/web")
    assert ran == (
        1,
        "0000:03:00.0  not fit for use; lent to guest/web until the next boot\n"
        "0000:04:00.0  given to guest/web until the next boot\n",
        "vfio-powerctl: 0000:03:00.0: did not come back from D3cold. Reset it\n",
    )


def test_what_failed_before_is_no_failure_of_a_release(scene: Scene, nic: FakeDevice) -> None:
    lent(scene, nic, "guest/web")
    failure = Failure("kernel-refused", "0000:03:00.0: cannot open: EIO", "", "open", "EIO")
    scene.reports[nic.address] = scene.reports[nic.address]._replace(failure=failure)
    ran = run(scene, "release", "03:00.0", "--holder", "guest/web")
    assert ran == (0, "0000:03:00.0  given to guest/web until the next boot\n", "")


def test_reclaim_ends_the_only_lease_there_is(scene: Scene, nic: FakeDevice) -> None:
    lent(scene, nic, "guest/web")
    run(scene, "reclaim", "03:00.0")
    assert scene.asked == [
        ("Reclaim", {"addresses": ["0000:03:00.0"], "holder": "guest/web"}),
    ]


def test_reclaim_of_several_leases_is_refused_naming_them(scene: Scene, nic: FakeDevice) -> None:
    lent(scene, nic, "guest/web", "backup")
    ran = run(scene, "reclaim", "03:00.0")
    assert ran.status == 1
    assert ran.err == (
        "vfio-powerctl: Several leases are held, by backup and guest/web."
        " Say whose is to end: --holder NAME.\n"
    )
    assert scene.asked == []


def test_reclaim_with_a_holder_asks_no_further(scene: Scene, nic: FakeDevice) -> None:
    lent(scene, nic, "guest/web", "backup")
    ran = run(scene, "reclaim", "03:00.0", "--holder", "backup")
    assert scene.asked[0][1]["holder"] == "backup"
    assert ran.out == "0000:03:00.0  still given to guest/web and backup\n"


def test_reclaim_without_a_lease_tries_to_take_the_device(scene: Scene, nic: FakeDevice) -> None:
    scene.hold(nic, rule="nics", engaged=Mode.ENTRY)
    ran = run(scene, "reclaim", "03:00.0")
    assert scene.asked[0][1]["holder"] is None
    assert ran == (0, "0000:03:00.0  held again, entry engaged\n", "")


def test_a_device_that_cannot_be_taken_is_named_with_the_reason(
    scene: Scene, nic: FakeDevice
) -> None:
    failure = Failure("busy", "0000:03:00.0: cannot open: EBUSY", "Look who has it")
    scene.reports[nic.address] = HoldReport(nic.address, "nics", "refused", failure=failure)
    ran = run(scene, "reclaim", "03:00.0")
    assert ran == (
        1,
        "0000:03:00.0  not held\n",
        "vfio-powerctl: 0000:03:00.0: cannot open: EBUSY. Look who has it\n",
    )


def test_the_lease_of_another_holder_is_not_ended(scene: Scene, nic: FakeDevice) -> None:
    lent(scene, nic, "guest/web")
    leases = [{"address": "0000:03:00.0", "holder": "guest/web", "since": NOW}]
    scene.refusal = ("LeaseHeld", {"leases": leases})
    ran = run(scene, "reclaim", "03:00.0", "--holder", "backup")
    assert ran.status == 1
    assert "0000:03:00.0 by guest/web" in ran.err


@pytest.mark.parametrize("command", ["reclaim", "clear"])
def test_a_helper_that_is_paused_takes_nothing_and_says_so(
    scene: Scene, nic: FakeDevice, command: str
) -> None:
    scene.reports[nic.address] = HoldReport(nic.address, "nics")
    scene.status["paused"] = "it was asked to"
    ran = run(scene, command, "03:00.0")
    assert ran.status == 1
    assert ran.err == (
        "vfio-powerctl: the helper is paused, it takes nothing (it was asked to)."
        " When that is over: vfio-powerctl resume\n"
    )


def test_what_nobody_declared_does_not_wait_for_the_end_of_a_pause(
    scene: Scene, nic: FakeDevice
) -> None:
    scene.reports[nic.address] = HoldReport(nic.address)
    scene.status["paused"] = "it was asked to"
    assert run(scene, "reclaim", "03:00.0") == (0, "0000:03:00.0  not held\n", "")


GONE = Quarantined("power-error", "0000:03:00.0: did not come back from D3cold", NOW)


def test_clear_says_that_the_device_is_held_again(scene: Scene, nic: FakeDevice) -> None:
    scene.hold(nic, rule="nics", engaged=Mode.ENTRY)
    ran = run(scene, "clear", "03:00.0")
    assert scene.asked == [("Clear", {"addresses": ["0000:03:00.0"]})]
    assert ran == (0, "0000:03:00.0  trusted, held again, entry engaged\n", "")


def test_clear_of_a_device_that_is_lost_again_is_refused(scene: Scene, nic: FakeDevice) -> None:
    scene.reports[nic.address] = HoldReport(nic.address, "nics", quarantined=GONE)
    ran = run(scene, "clear", "03:00.0")
    assert (ran.status, ran.out) == (1, "0000:03:00.0  in quarantine again\n")
    assert "did not come back from D3cold" in ran.err


def test_reclaim_of_a_device_in_quarantine_names_the_way_out(scene: Scene, nic: FakeDevice) -> None:
    scene.reports[nic.address] = HoldReport(nic.address, "nics", quarantined=GONE)
    ran = run(scene, "reclaim", "03:00.0")
    assert (ran.status, ran.out) == (1, "0000:03:00.0  not held\n")
    assert "vfio-powerctl clear 0000:03:00.0" in ran.err


def test_json_answers_with_the_devices(scene: Scene, nic: FakeDevice) -> None:
    lent(scene, nic, "guest/web")
    document = run(scene, "release", "--json", "03:00.0", "--holder", "guest/web").json
    assert document["devices"][0]["leases"][0]["holder"] == "guest/web"
