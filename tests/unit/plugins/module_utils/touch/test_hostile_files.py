# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever stands in a file: it is read as what was written, or told as damage. Nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.chronicle import (
    MOST,
    Chronicle,
    caught_up,
    counted_anew,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.documents import (
    declaration_document,
    known_document,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.policy import State
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.varlink import encode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.wire import (
    history_to_json,
    lease_from_json,
    lease_to_json,
    wakes_from_json,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.chronicles import (
    HISTORY,
    HistoryFile,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.graces import Graces, Left
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.leases import (
    LEASES as LEASES_FILE,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.leases import Leases
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.records import (
    FOLDER,
    Record,
    Records,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.sealed import seal
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.store import (
    DECLARED,
    DEVICES,
    Store,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import (
    Declaration,
    Known,
    Match,
    Rule,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import Identity
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.history import (
    History,
    Incident,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Expect, Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    Lease,
    Wakes,
)
from hypothesis import given
from hypothesis import strategies as st

from ..searching import searching
from ..think.strategies import (
    ADDRESSES,
    CHRONICLES,
    DECLARATIONS,
    IDENTITIES,
    KNOWN,
    LEASES,
    MEMORIES,
    TIMES,
    WAKES,
    bytes_like,
    like,
)

NIC = PciAddress.parse("0000:02:00.0")
CARD = Identity("8086", "10d3", "8086", "a01f", "020000")
DECLARED_ONCE = declaration_document(
    Declaration(
        (
            Rule("nic", NIC, Mode.ENTRY_WITH_WAKEUP, expect=Expect.ASLEEP),
            Rule("disks", Match(class_=("0108",), property={"A": "b*"}), Mode.NONE, reserve=True),
        ),
        generation=7,
    )
)
DEVICES_ONCE = [known_document(Known(NIC, CARD, "nic"))]
LEASES_ONCE = [lease_to_json(Lease(NIC, "guest", 1.5, 2.5))]
HISTORY_ONCE = [
    {
        "address": str(NIC),
        "identity": CARD._asdict(),
        "history": history_to_json(History(1.0, 2, 3, 5, (Incident(4.0, "own", 2),) * 3, 7.5)),
        "counted": {"boot": "b", "asleep_ms": 5, "awake_ms": 6},
        "seen": {"total": 3, "foreign": 2, "last": 1.0},
    }
]
RECORD_ONCE = {"state": "waiting", "wakes": Wakes(3, 2, 1.0)._asdict(), "entered": 1.0}
RECORDS = st.builds(
    Record,
    st.sampled_from(State),
    WAKES,
    st.none() | TIMES,
    MEMORIES,
    identity=st.none() | IDENTITIES,
)


@searching
@given(DECLARATIONS, st.lists(KNOWN, max_size=3).map(tuple))
def test_a_declaration_is_loaded_as_it_was_saved(
    tmp_path: Path, declaration: Declaration, known: tuple[Known, ...]
) -> None:
    store = Store(str(tmp_path / "store"))
    store.save(declaration, known)
    found = store.load()
    assert (found.declaration, found.known, found.damaged) == (declaration, known, "")


@searching
@given(
    like(DECLARED_ONCE).map(seal) | bytes_like(seal(DECLARED_ONCE)),
    like(DEVICES_ONCE).map(seal) | bytes_like(seal(DEVICES_ONCE)),
)
def test_a_stored_declaration_is_loaded_or_told_as_damaged(
    tmp_path: Path, declared: bytes, devices: bytes
) -> None:
    place = tmp_path / "damaged"
    place.mkdir(exist_ok=True)
    (place / DECLARED).write_bytes(declared)
    (place / DEVICES).write_bytes(devices)
    found = Store(str(place)).load()
    if found.damaged:
        assert found.damaged.endswith("taken as empty.")
    else:
        assert encode(declaration_document(found.declaration))  # it can be told to clients
        assert all(map(encode, map(known_document, found.known)))


@searching
@given(st.lists(CHRONICLES, max_size=3).map(tuple))
def test_a_history_is_loaded_as_it_was_saved(
    tmp_path: Path, chronicles: tuple[Chronicle, ...]
) -> None:
    file = HistoryFile(str(tmp_path / "histories"))
    file.save(chronicles)
    assert file.load() == (chronicles, "")


@searching
@given(like(HISTORY_ONCE).map(seal) | bytes_like(seal(HISTORY_ONCE)))
def test_a_stored_history_is_loaded_or_told_as_damaged(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "history"
    place.mkdir(exist_ok=True)
    (place / HISTORY).write_bytes(content)
    chronicles, damaged = HistoryFile(str(place)).load()
    assert not damaged or damaged.endswith("taken as empty.")
    for it in chronicles:  # whatever it says, it can be gone on with and told to clients
        grown = counted_anew(caught_up(it, Wakes(2, 1, 5.0))).history
        assert len(grown.last) <= MOST
        assert encode(history_to_json(grown))


@searching
@given(RECORDS)
def test_a_record_is_loaded_as_it_was_saved(tmp_path: Path, record: Record) -> None:
    records = Records(str(tmp_path))
    records.save(NIC, record)
    assert records.load() == {NIC: record}


@searching
@given(like(RECORD_ONCE).map(json.dumps).map(str.encode) | bytes_like(b'{"state": "entry"}'))
def test_a_record_is_loaded_or_left_out(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "wild" / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    (place / str(NIC)).write_bytes(content)
    for record in Records(str(tmp_path / "wild")).load().values():
        assert isinstance(record.state, State)
        assert wakes_from_json(travelled(record.wakes._asdict())) == record.wakes
        assert encode({"entered": record.entered, "due": record.reentry.due})


@searching
@given(
    st.dictionaries(ADDRESSES, st.floats(1, 1e6), max_size=4),
    st.dictionaries(ADDRESSES, st.booleans(), max_size=4),
)
def test_graces_are_loaded_as_they_were_saved(
    tmp_path: Path, left: dict[PciAddress, float], aside: dict[PciAddress, bool]
) -> None:
    graces = Graces(str(tmp_path))
    graces.save(Left(left, aside))
    approximately = {it: pytest.approx(seconds, abs=1) for it, seconds in left.items()}
    assert graces.load() == (approximately, aside)


@searching
@given(
    like({"graces": {str(NIC): 1e9, "41:00.0": 5}, "aside": {str(NIC): True}})
    .map(json.dumps)
    .map(str.encode)
    | bytes_like(b"{}")
)
def test_graces_are_loaded_or_there_are_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "graces.json").write_bytes(content)
    found = Graces(str(tmp_path)).load()
    assert all(seconds > 0 for seconds in found.graces.values())
    assert all(isinstance(there, bool) for there in found.aside.values())
    assert encode({str(address): seconds for address, seconds in found.graces.items()})


@searching
@given(LEASES)
def test_leases_are_loaded_as_they_were_saved(tmp_path: Path, given_away: list[Lease]) -> None:
    leases = Leases(str(tmp_path))
    leases.save(given_away)
    assert sorted(leases.load()) == sorted(given_away)
    assert not leases.damaged


@searching
@given(like(LEASES_ONCE).map(json.dumps).map(str.encode) | bytes_like(b"[]"))
def test_leases_are_loaded_or_told_as_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / LEASES_FILE).write_bytes(content)
    leases = Leases(str(tmp_path))
    found = leases.load()
    if leases.damaged:
        assert found == ()
    for lease in found:
        assert lease_from_json(travelled(lease_to_json(lease))) == lease


def travelled(document: dict[str, Any]) -> Any:
    """Return a document as a client reads it."""
    return json.loads(encode(document)[:-1])
