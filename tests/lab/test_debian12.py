# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job once more on Debian 12: systemd 252, Linux 6.1, Python 3.11."""

from __future__ import annotations

from pathlib import Path

import pytest

from .deaths import DEATHS, a_death_moves_nothing
from .declared import DELAY, HELPER, main_rules
from .dying import a_stop_lets_all_go, kills
from .managed import ManagedHost
from .sandbox import (
    exposure,
    it_has_no_other_rights,
    it_is_bounded,
    it_opens_nodes_of_vfio_alone,
)
from .upgrading import (
    ASLEEP,
    NEWER,
    RAISES,
    a_broken_update_is_taken_back,
    a_changed_socket_unit_comes_into_force,
    an_update_moves_nothing,
    unmoved,
)

LAB = {"shape": "standard", "debian": "12"}


def test_the_main_job_is_done_there_too(converged):
    states = {name: it.power_state for name, it in converged.seen("nic", "disk", "rng").items()}
    assert states == {"nic": "D3cold", "disk": "D3cold", "rng": "D3hot"}
    assert all(converged.held(name) for name in states)


def test_the_second_converge_changes_nothing(converged):
    played = converged.converge(vfio_power_devices=main_rules(converged), **HELPER)
    assert played.changed == 0, played.output


def test_the_service_is_hardly_exposed(converged):
    assert exposure(converged) <= 1.0
    it_has_no_other_rights(converged)
    it_opens_nodes_of_vfio_alone(converged)
    it_is_bounded(converged)


def test_a_stranger_is_seen_and_the_device_goes_back(converged):
    converged.reaches("nic", "D3cold")
    converged.lab.ssh(f"lspci -s {converged.address('nic')}")
    converged.reaches("nic", "D3cold", seconds=DELAY + 10)
    (nic,) = converged.info(devices=[{"address": converged.address("nic")}])["devices"]
    assert nic["wakes"]["foreign"] == 1
    assert converged.held("nic")


def test_killed_at_any_moment_it_reaches_what_is_declared(converged):
    kills(converged, times=20)


def test_a_stop_lets_all_devices_go_before_the_service_manager_would(main: ManagedHost) -> None:
    a_stop_lets_all_go(main)


@pytest.mark.soak
def test_five_hundred_kills_move_nothing_there_either(main: ManagedHost) -> None:
    kills(main, times=500)


@pytest.mark.soak
@pytest.mark.parametrize("way", DEATHS)
def test_no_device_moves_when_the_helper_dies_there_either(main: ManagedHost, way: str) -> None:
    a_death_moves_nothing(main, way)


@pytest.mark.soak
def test_an_update_moves_no_device_there_either(
    main: ManagedHost, collections: Path, tmp_path: Path
) -> None:
    with unmoved(main, *ASLEEP):
        an_update_moves_nothing(main, collections, tmp_path, NEWER)


@pytest.mark.soak
def test_a_changed_socket_unit_moves_no_device_there_either(
    converged: ManagedHost, collections: Path
) -> None:
    converged.reaches("nic", "D3cold")
    with unmoved(converged, *ASLEEP):
        a_changed_socket_unit_comes_into_force(converged, collections)


@pytest.mark.soak
def test_a_helper_that_raises_is_taken_back_there_too(
    main: ManagedHost, collections: Path, tmp_path: Path
) -> None:
    with unmoved(main, *ASLEEP):
        said = a_broken_update_is_taken_back(main, collections, tmp_path, RAISES)
    assert "was put back: it answers, and holds what was held." in said
