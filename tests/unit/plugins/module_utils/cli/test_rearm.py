# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that a quirk keeps awake sleep once more, or it is said why they do not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    Failure,
    Quarantined,
)

from ..fake.host import FakeDevice
from ..touch.scene import Scene
from .running import ctl

WHY = Failure("awake-by-quirk", "0000:03:00.0: is left awake", "Have 0 written")


@pytest.fixture
def nic(scene: Scene) -> FakeDevice:
    return scene.add("0000:03:00.0")


def test_a_device_that_may_sleep_again_is_told(scene: Scene, nic: FakeDevice) -> None:
    scene.hold(nic, engaged=Mode.ENTRY_WITH_WAKEUP)
    with scene.serve():
        ran = ctl(scene, "rearm", "03:00.0")
    assert ran == (0, "0000:03:00.0  entry-with-wakeup engaged\n", "")
    assert scene.asked == [("Rearm", {"addresses": ["0000:03:00.0"]})]


@pytest.mark.parametrize(
    ("fields", "said", "complaint"),
    [
        ({"failure": WHY}, "held, and stays awake", "is left awake. Have 0 written"),
        (
            {"held": False},
            "not held: vfio-powerctl show 0000:03:00.0 says why",
            "",
        ),
    ],
)
def test_a_device_that_is_awake_all_the_same_is_no_success(
    scene: Scene, nic: FakeDevice, fields: dict[str, Any], said: str, complaint: str
) -> None:
    scene.hold(nic, **fields)
    with scene.serve():
        ran = ctl(scene, "rearm", "03:00.0")
    assert (ran.status, ran.out) == (1, f"0000:03:00.0  {said}\n")
    assert complaint in ran.err


def test_a_device_in_quarantine_is_not_rearmed_and_the_way_out_is_named(
    scene: Scene, nic: FakeDevice
) -> None:
    why = Quarantined("quarantined", "0000:03:00.0: the host died", 0.0)
    scene.hold(nic, rule="nics", held=False, quarantined=why)
    with scene.serve():
        ran = ctl(scene, "rearm", "03:00.0")
    assert ran.status == 1
    assert "vfio-powerctl clear 0000:03:00.0" in ran.err


def test_json_has_the_device(scene: Scene, nic: FakeDevice) -> None:
    scene.hold(nic, engaged=Mode.ENTRY_WITH_WAKEUP)
    with scene.serve():
        document = ctl(scene, "rearm", "--json", "03:00.0").json
    assert document["devices"][0]["engaged"] == "entry-with-wakeup"
