# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A recorded save, cut at every moment, with content that reaches the disk before or after its
name: what is loaded is what was declared before or what is declared now, whole and undamaged."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch import files
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.store import (
    DECLARED,
    Loaded,
)

from .disk import Change, Recorder, power_cuts
from .test_store import KNOWN, NEW, OLD, declaration, load, save

OLDER = Loaded(declaration(0), KNOWN[1:])

HISTORIES = {
    "the first save": [],
    "one generation": [OLD],
    "two generations": [OLDER, OLD],
    "the same devices": [OLD._replace(known=NEW.known)],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "before"
    path.mkdir(0o700)
    return path


def recorded(folder: Path, content: Loaded, monkeypatch: pytest.MonkeyPatch) -> list[Change]:
    """Return what a save changes, and leave the folder as it was before."""
    after = folder.with_name("after")
    shutil.copytree(folder, after)
    recorder = Recorder()
    monkeypatch.setattr(files, "os", recorder)
    save(after, content)
    monkeypatch.undo()
    return recorder.changes


def laid_out(place: Path, cuts: Iterator[dict[str, bytes]]) -> Iterator[Path]:
    """Put each of them into a folder, one after the other."""
    for contents in cuts:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(0o700)
        for name, content in contents.items():
            (place / name).write_bytes(content)
        yield place


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
@pytest.mark.parametrize("rest", [None, b"", b"half a docu"], ids=["clean", "empty", "half"])
def test_what_is_loaded_after_a_power_cut_is_old_or_new(
    folder: Path, monkeypatch: pytest.MonkeyPatch, history: list[Loaded], rest: Optional[bytes]
) -> None:
    for content in history:
        save(folder, content)
    if rest is not None:  # left by a writer that died
        (folder / f"{DECLARED}.new").write_bytes(rest)
    old = history[-1] if history else Loaded()
    changes = recorded(folder, NEW, monkeypatch)
    loaded = []
    for place in laid_out(folder.with_name("found"), power_cuts(folder, changes)):
        found = load(place)
        assert not found.damaged
        assert found.declaration in (old.declaration, NEW.declaration)
        assert found.known in (old.known, NEW.known)
        loaded.append(found)
        save(place, NEW)
        assert load(place) == NEW
    assert loaded[0] == old
    assert loaded[-1] == NEW
    assert len(loaded) > 10


def test_a_generation_before_is_there_at_every_moment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(folder, OLDER)
    save(folder, OLD)
    changes = recorded(folder, NEW, monkeypatch)
    for place in laid_out(folder.with_name("found"), power_cuts(folder, changes)):
        (place / DECLARED).write_bytes(b"a bad sector")
        found = load(place)
        assert found.declaration in (OLDER.declaration, OLD.declaration)
        assert found.damaged


def test_without_a_sync_the_search_would_find_a_damaged_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(folder, OLD)
    changes = recorded(folder, NEW, monkeypatch)
    careless = [change for change in changes if change.what != "sync"]
    places = laid_out(folder.with_name("found"), power_cuts(folder, careless))
    assert any(load(place).damaged for place in places)
