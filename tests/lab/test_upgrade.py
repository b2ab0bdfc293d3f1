# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role with another program: no device moves, whether it comes up or has to be taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from .dying import kept
from .managed import ManagedHost
from .upgrading import (
    ASLEEP,
    NEWER,
    RAISES,
    SAME,
    Replaced,
    a_broken_update_is_taken_back,
    a_changed_socket_unit_comes_into_force,
    an_update_moves_nothing,
    unmoved,
)

LAB = {"shape": "standard"}

FORGETS = {"hold/reporting.py": ("held=holder.grip is not None", "held=False")}
LETS_GO = {"hold/goals.py": ("if self._bars.against(address, table):", "if True:")}


def test_an_update_moves_no_device(main: ManagedHost, collections: Path, tmp_path: Path) -> None:
    with unmoved(main, *ASLEEP, awake=("spare",)):
        an_update_moves_nothing(main, collections, tmp_path, SAME, NEWER)


@pytest.mark.soak
def test_a_changed_socket_unit_moves_no_device(main: ManagedHost, collections: Path) -> None:
    with unmoved(main, *ASLEEP, awake=("spare",)):
        a_changed_socket_unit_comes_into_force(main, collections)


@pytest.mark.parametrize(
    "breaks",
    [
        pytest.param(RAISES, id="same", marks=pytest.mark.soak),
        pytest.param({**RAISES, **NEWER}, id="newer"),
    ],
)
def test_a_helper_that_raises_is_taken_back_and_no_device_moves(
    main: ManagedHost, collections: Path, tmp_path: Path, breaks: Replaced
) -> None:
    with unmoved(main, *ASLEEP, awake=("spare",)):
        said = a_broken_update_is_taken_back(main, collections, tmp_path, breaks)
    version = "0.2.0" if "words/version.py" in breaks else "0.1.0"
    assert f"The helper of version {version} did not come up" in said
    assert "RuntimeError: not today" in said
    assert "(version 0.1.0) was put back: it answers, and holds what was held." in said


# What the helper does wrong is judged by the same code; a unit test has each way.
@pytest.mark.soak
def test_a_helper_that_forgets_its_devices_is_taken_back(
    main: ManagedHost, collections: Path, tmp_path: Path
) -> None:
    with unmoved(main, *ASLEEP, awake=("spare",)):
        said = a_broken_update_is_taken_back(main, collections, tmp_path, FORGETS)
    assert f"it does not hold any more: {main.address('nic')}, {main.address('disk')}" in said


@pytest.mark.soak
def test_a_helper_that_lets_its_devices_go_is_taken_back_and_they_are_taken_again(
    main: ManagedHost, collections: Path, tmp_path: Path
) -> None:
    store = kept(main)
    said = a_broken_update_is_taken_back(main, collections, tmp_path, LETS_GO)
    assert f"it does not hold any more: {main.address('nic')}, {main.address('disk')}" in said
    assert "(version 0.1.0) was put back: it answers, and holds what was held." in said
    assert main.held(*ASLEEP, "spare")
    assert kept(main) == store
    for card in ASLEEP:
        main.reaches(card, "D3hot" if card == "rng" else "D3cold")
