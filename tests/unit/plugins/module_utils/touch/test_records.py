# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a helper leaves to the next one: how devices stand, and which graces run."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.policy import State
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.reentry import (
    BREAKER,
    Breaker,
    Memory,
    Span,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.graces import Graces, Left
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.records import (
    FOLDER,
    Record,
    Records,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import Wakes

NIC = PciAddress.parse("0000:41:00.0")
DISK = PciAddress.parse("0000:42:00.0")


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    records = Records(str(tmp_path))
    asleep = Memory(asleep_since=50.5, sleeps=(Span(1.0, 2.0), Span(7.0, 48.5)))
    armed = Record(State.ARMED, Wakes(7, 3, 1000.5), 900.25, asleep)
    records.save(NIC, Record(State.TAKING))
    records.save(NIC, armed)
    storm = Memory(2.5, 90.0, due=7.5, put_off_by=BREAKER, suppressed=3, own=True, good=1)
    storm = storm._replace(breaker=Breaker.OPEN, storm_wakes=8, storm=Span(1.0, 48.5))
    waiting = Record(State.WAITING, Wakes(1, 0, 2.0), 1.0, storm)
    records.save(DISK, waiting)
    assert Records(str(tmp_path)).load() == {NIC: armed, DISK: waiting}
    records.remove(NIC)
    records.remove(NIC)
    assert records.load() == {DISK: waiting}


def test_nothing_is_known_where_the_records_cannot_be_listed(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    assert Records(str(tmp_path)).load() == {}


def test_nothing_is_known_where_nothing_was_written(tmp_path: Path) -> None:
    assert Records(str(tmp_path)).load() == {}
    assert Graces(str(tmp_path)).load() == Left()


BAD_BREAKER = '{"state": "waiting", "reentry": {"breaker": "ajar"}}'


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"state": "gone"}', '{"state": 5}', "\0", BAD_BREAKER]
)
def test_a_damaged_record_hides_no_other(tmp_path: Path, content: str) -> None:
    records = Records(str(tmp_path))
    records.save(NIC, Record(State.ENTRY))
    (tmp_path / FOLDER / str(DISK)).write_text(content)
    (tmp_path / FOLDER / f"{DISK}.new").write_text(content)
    assert records.load() == {NIC: Record(State.ENTRY)}


def test_records_are_for_their_owner_alone(tmp_path: Path) -> None:
    Records(str(tmp_path)).save(NIC, Record(State.ENTRY))
    assert (tmp_path / FOLDER).stat().st_mode & 0o777 == 0o700


def test_graces_go_on_where_they_were(tmp_path: Path) -> None:
    graces = Graces(str(tmp_path))
    graces.save(Left({NIC: 60.0, DISK: -1.0}, {DISK: False}))
    assert graces.load() == ({NIC: pytest.approx(60.0, abs=1)}, {DISK: False})


BAD_GRACES = (
    "",
    "[]",
    '{"x": 1}',
    '{"graces": {"0000:41:00.0": "soon"}, "aside": {}}',
    '{"graces": {}, "aside": {"0000:41:00.0": "no"}}',
)


@pytest.mark.parametrize("content", BAD_GRACES)
def test_damaged_graces_count_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "graces.json").write_text(content)
    assert Graces(str(tmp_path)).load() == Left()
