# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every drift code: brought about for real, told everywhere, and gone when its hint was followed.

What can be at the same time on different cards is brought about and reported together.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.module_utils.vfio_power.think.codes import CODES

from .declared import DELAY, HELPER, main_rules
from .dying import restart
from .managed import ManagedHost
from .scene_in_its_hands import IN_ITS_HANDS
from .scene_not_taken import NOT_TAKEN
from .scene_on_the_bus import ON_THE_BUS
from .sights import (
    HOST,
    Scene,
    Sight,
    commands,
    declaring,
    everywhere,
    gone,
    told_by_command,
    told_by_module,
    told_by_report,
)

LAB = {"shape": "standard"}

SCENES = {
    "on the bus": ON_THE_BUS,
    "in the helper's hands": IN_ITS_HANDS,
    "not taken": NOT_TAKEN,
}

ELSEWHERE = {
    "helper-down": "test_drift_codes.py::test_the_helper_is_paused_and_stopped",
    "paused": "test_drift_codes.py::test_the_helper_is_paused_and_stopped",
    "helper-outdated": "test_drift_codes.py::test_another_helper",
    "api-mismatch": "test_drift_codes.py::test_another_helper",
    "wake-storm": "test_strangers.py::"
    "test_a_device_that_is_read_every_second_is_left_awake_and_the_storm_told",
    "hold-saves-nothing": "test_kernel_default.py::"
    "test_holding_is_done_as_declared_and_said_to_save_nothing",
    "stuck": "test_quarantine.py::"
    "test_a_device_that_does_not_come_back_is_not_taken_again_until_it_is_cleared",
    "power-error": "test_quarantine.py::"
    "test_a_device_that_does_not_come_back_is_not_taken_again_until_it_is_cleared",
}
"""The codes that need a helper, a host or a patience of their own, and the test that has them."""

ONLY_IN_SOAK = ("stuck", "power-error")
"""The kernel waits for minutes before it gives such a device up."""

VERSION = "/usr/local/lib/vfio-power/current/vfio_power/words/version.py"


def test_each_code_has_its_place() -> None:
    here = [sight.code for scene in SCENES.values() for sight in scene.sights]
    assert sorted([*here, *ELSEWHERE]) == sorted(CODES)
    for code, place in ELSEWHERE.items():
        name, _colons, test = place.partition("::")
        text = Path(__file__).with_name(name).read_text(encoding="utf-8")
        above, _name, below = text.partition(f"def {test}(")
        assert f'"{code}"' in below.partition("\ndef ")[0], place
        marks = above.rpartition("\n\n\n")[2]
        assert ("pytest.mark.soak" in marks) is (code in ONLY_IN_SOAK), place


@pytest.fixture
def put_back(main: ManagedHost) -> Iterator[ManagedHost]:
    """The main host, which is as it was found when the test is over."""
    yield main
    main.declare(*main_rules(main), fail_on_drift=False)
    main.put_back(main_rules(main))
    main.reaches("nic", "D3cold", seconds=DELAY + 20)


@pytest.mark.parametrize("scene", SCENES.values(), ids=list(SCENES))
def test_it_is_told_and_gone_when_its_hint_was_followed(
    put_back: ManagedHost, scene: Scene
) -> None:
    with scene.bring(put_back) as rules:
        told = everywhere(put_back, *scene.sights, vfio_power_devices=rules)
        for sight, drift in told.items():
            sight.follow(put_back, drift["hint"])
        for then in scene.then(put_back, rules):
            put_back.declare(*then, fail_on_drift=False)
        gone(put_back, scene.sights, seconds=120)


def test_the_helper_is_paused_and_stopped(put_back: ManagedHost) -> None:
    stopped = (Sight("helper-down", HOST, "the helper is stopped", commands),)
    paused = (
        Sight("paused", HOST, "vfio-powerctl pause was called", commands),
        Sight("paused", "nic", "vfio-powerctl pause was called", commands),
    )
    ways = {"vfio-powerctl pause": paused, "systemctl stop vfio-powerd": stopped}
    for way, sights in ways.items():
        put_back.lab.ssh(way)
        told = everywhere(put_back, *sights, vfio_power_devices=main_rules(put_back))
        sights[0].follow(put_back, told[sights[0]]["hint"])
        gone(put_back, sights, seconds=60)


def test_a_helper_that_hangs_is_told(put_back: ManagedHost) -> None:
    """Without the watchdog, which would replace it before a busy machine has looked."""
    hangs = Sight("helper-down", HOST, "does not answer on its socket", commands)
    put_back.lab.ssh("systemctl service-watchdogs no; systemctl kill -s STOP vfio-powerd")
    try:
        told = told_by_module(put_back, hangs)
        hangs.follow(put_back, told[hangs]["hint"])  # which is to look at its service
    finally:
        put_back.lab.ssh("systemctl kill -s CONT vfio-powerd; systemctl service-watchdogs yes")
    gone(put_back, [hangs], seconds=60)


def test_another_helper(put_back: ManagedHost) -> None:
    """The command of the host is of another version than the helper until that is restarted."""
    role = declaring("the role vfio.power.helper")
    versions = {
        Sight("helper-outdated", HOST, "runs version 0.0.9", role): 's/"0.1.0"/"0.0.9"/',
        Sight("api-mismatch", HOST, "API revision 99", role): "s/REVISION = .*/REVISION = 99/",
    }
    for sight, edit in versions.items():
        put_back.lab.ssh(f"cp {VERSION} /run/as-installed; sed -i '{edit}' {VERSION}")
        restart(put_back)
        told = told_by_module(put_back, sight)
        put_back.lab.ssh(f"mv {VERSION} /run/edited; mv /run/as-installed {VERSION}")
        told_by_command(put_back, told)
        put_back.lab.ssh(f"mv /run/edited {VERSION}")
        told_by_report(put_back, told, vfio_power_devices=main_rules(put_back))
        sight.follow(put_back, told[sight]["hint"])
    put_back.converge(vfio_power_devices=main_rules(put_back), **HELPER)
    gone(put_back, versions, seconds=60)
