# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is declared survives power cuts, damage and other writers."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch import files
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.store import (
    DECLARED,
    DEVICES,
    Loaded,
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
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Expect, Mode

NIC = PciAddress.parse("0000:02:00.0")
DISK = PciAddress.parse("0000:03:00.0")
CARD = Identity("8086", "10d3", "8086", "a01f", "020000")


def declaration(generation: int, mode: Mode = Mode.ENTRY) -> Declaration:
    rules = (
        Rule("the nic", NIC, mode, expect=Expect.ASLEEP),
        Rule("disks", Match(class_=("0108",)), Mode.NONE, reserve=True, expect=Expect.AWAKE),
    )
    return Declaration(rules, exclude=(DISK,), generation=generation)


KNOWN = (Known(NIC, CARD, "the nic"), Known(DISK, None, "disks"))
OLD = Loaded(declaration(1), KNOWN)
NEW = Loaded(declaration(2, Mode.ENTRY_WITH_WAKEUP), KNOWN[:1])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "vfio-power"


def save(folder: Path, content: Loaded) -> bool:
    return Store(str(folder)).save(content.declaration, content.known)


def load(folder: Path) -> Loaded:
    return Store(str(folder)).load()


def test_a_host_without_a_declaration_has_an_empty_one(folder: Path) -> None:
    assert load(folder) == Loaded()


def test_what_was_saved_is_loaded(folder: Path) -> None:
    assert save(folder, OLD)
    assert load(folder) == OLD


def test_saving_the_same_again_writes_no_file(folder: Path) -> None:
    save(folder, OLD)
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    assert not save(folder, OLD)
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == before


def test_only_the_file_that_differs_is_written(folder: Path) -> None:
    save(folder, OLD)
    before = (folder / DEVICES).stat().st_ino
    assert save(folder, OLD._replace(declaration=declaration(7)))
    assert (folder / DEVICES).stat().st_ino == before


def test_nobody_but_the_owner_reads_the_files(folder: Path) -> None:
    save(folder, OLD)
    save(folder, NEW)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_save_leaves_nothing_but_the_files_and_their_previous_generation(folder: Path) -> None:
    save(folder, OLD)
    save(folder, NEW)
    names = {DECLARED, f"{DECLARED}.previous", DEVICES, f"{DEVICES}.previous"}
    assert {path.name for path in folder.iterdir()} == names


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not JSON"),
        (b"\0" * 500, "is not JSON"),
        (b"[" * 100_000, "is nested too deeply"),
        (b"{}", "has no content"),
        (b'{"content": {}, "format": 9}', "has format 9, and not 1"),
        (b'{"content": {}, "format": 1, "crc32": "0"}', "checksum"),
    ],
    ids=["empty", "zeros", "deep", "no-content", "format", "checksum"],
)
def test_instead_of_a_damaged_file_the_previous_generation_is_loaded(
    folder: Path, content: bytes, reason: str
) -> None:
    save(folder, OLD)
    save(folder, NEW)
    (folder / DECLARED).write_bytes(content)
    found = load(folder)
    assert found.declaration == OLD.declaration
    assert found.known == NEW.known
    assert str(folder / DECLARED) in found.damaged
    assert reason in found.damaged
    assert found.damaged.endswith("the previous generation is used.")


def test_a_file_edited_by_hand_is_damaged(folder: Path) -> None:
    save(folder, OLD)
    path = folder / DECLARED
    path.write_text(path.read_text().replace('"entry"', '"none"'))
    assert "was changed by something else" in load(folder).damaged


def test_a_file_that_vanished_is_damage_if_there_was_one_before(folder: Path) -> None:
    save(folder, OLD)
    save(folder, NEW)
    (folder / DECLARED).unlink()
    found = load(folder)
    assert found.declaration == OLD.declaration
    assert "is missing" in found.damaged


def test_with_both_generations_damaged_nothing_is_declared(folder: Path) -> None:
    save(folder, OLD)
    save(folder, NEW)
    for name in (DECLARED, f"{DECLARED}.previous"):
        (folder / name).write_bytes(b"gone")
    found = load(folder)
    assert found.declaration == Declaration()
    assert found.damaged.endswith("taken as empty.")


def test_a_file_that_is_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    save(folder, OLD)
    (folder / DECLARED).rename(tmp_path / "elsewhere")
    (folder / DECLARED).symlink_to(tmp_path / "elsewhere")
    assert "cannot be read" in load(folder).damaged


def test_a_damaged_file_never_becomes_the_previous_generation(folder: Path) -> None:
    save(folder, OLD)
    save(folder, NEW)
    (folder / DECLARED).write_bytes(b"damaged")
    save(folder, Loaded(declaration(3), KNOWN))
    assert load(folder) == Loaded(declaration(3), KNOWN)
    (folder / DECLARED).write_bytes(b"damaged again")
    assert load(folder).declaration == OLD.declaration
    assert (folder / f"{DECLARED}.damaged").read_bytes() == b"damaged"


class PowerCut(BaseException):
    """The machine is off; nothing that was about to run ran."""


class Cut:
    """Stands in for ``os``: after ``lives`` changes to the disk nothing happens any more."""

    CHANGES = ("mkdir", "write", "fsync", "link", "rename", "unlink")

    def __init__(self, lives: int) -> None:
        self.lives = lives
        self.done: list[str] = []

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name == "open":
            return self._open
        return self._counted(name, real) if name in self.CHANGES else real

    def _open(self, path: str, flags: int, *rest: Any, **where: Any) -> int:
        if flags & os.O_CREAT:
            self._live("create")
        return os.open(path, flags, *rest, **where)

    def _counted(self, name: str, real: Any) -> Any:
        def change(*arguments: Any, **where: Any) -> Any:
            self._live(name)
            return real(*arguments, **where)

        return change

    def _live(self, name: str) -> None:
        if len(self.done) >= self.lives:
            raise PowerCut
        self.done.append(name)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def limited_to(lives: int) -> Cut:
        cut = Cut(lives)
        monkeypatch.setattr(files, "os", cut)
        return cut

    yield limited_to
    monkeypatch.undo()


@pytest.mark.parametrize("before", [None, OLD])
def test_a_power_cut_at_any_moment_leaves_the_old_or_the_new(
    tmp_path: Path, disk: Any, before: Loaded | None
) -> None:
    lives, finished = 0, False
    while not finished:
        folder = tmp_path / str(lives)
        disk(10_000)
        if before:
            save(folder, before)
        disk(lives)
        try:
            save(folder, NEW)
            finished = True
        except PowerCut:
            lives += 1
        disk(10_000)
        found = load(folder)
        old = before or Loaded()
        assert not found.damaged
        assert found.declaration in (old.declaration, NEW.declaration)
        assert found.known in (old.known, NEW.known)
        # Whatever was left lying about, the next save is a good one.
        save(folder, NEW)
        assert load(folder) == NEW
    assert lives > 10


def test_a_write_that_stops_half_way_leaves_the_old(folder: Path, disk: Any) -> None:
    save(folder, OLD)
    cut = disk(10_000)
    cut.write = _fill_the_disk
    with pytest.raises(OSError, match="No space left") as refused:
        save(folder, NEW)
    assert refused.value.filename == str(folder), "a write knows no name, a message needs one"
    del cut.write
    assert load(folder) == OLD
    assert save(folder, NEW)
    assert load(folder) == NEW


def _fill_the_disk(number: int, content: bytes) -> int:
    os.write(number, content[: len(content) // 2])
    raise OSError(28, "No space left on device")


def test_content_is_synced_before_it_gets_its_name_and_the_name_after(
    folder: Path, disk: Any
) -> None:
    save(folder, OLD)
    cut = disk(10_000)
    save(folder, OLD._replace(declaration=NEW.declaration))
    steps = [step for step in cut.done if step not in ("mkdir", "unlink", "write")]
    assert steps == ["create", "fsync", "link", "rename", "rename", "fsync"]
