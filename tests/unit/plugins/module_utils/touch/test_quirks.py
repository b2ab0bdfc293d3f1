# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The quirks that the owner of a host wrote."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.quirks import SHIPPED
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.quirks import load

ROW = {
    "address": "0000:65:00.0",
    "quirk": "no-hold",
    "reason": "it does not survive resets",
    "source": "ticket 12",
}


def write(folder: Path, name: str, content: str, mode: int = 0o644) -> Path:
    path = folder / name
    path.write_text(content)
    path.chmod(mode)
    return path


def test_without_a_folder_there_is_what_is_shipped(tmp_path: Path) -> None:
    assert load(str(tmp_path / "none"), os.getuid()) == (SHIPPED, "")


def test_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, "20.json", json.dumps([{**ROW, "reason": "second"}]))
    write(tmp_path, "10.json", json.dumps([{**ROW, "reason": "first"}]))
    write(tmp_path, "notes.txt", "no json")
    loaded = load(str(tmp_path), os.getuid())
    assert loaded.damaged == ""
    assert [it.reason for it in loaded.quirks[len(SHIPPED) :]] == ["first", "second"]


def test_a_file_that_others_may_write_is_left_out_and_told(tmp_path: Path) -> None:
    path = write(tmp_path, "10.json", json.dumps([ROW]), mode=0o666)
    foreign = load(str(tmp_path), os.getuid() + 1)
    loaded = load(str(tmp_path), os.getuid())
    for told in (loaded, foreign):
        assert told.quirks == SHIPPED
        assert str(path) in told.damaged
        assert "root" in told.damaged


def test_a_file_that_makes_no_sense_takes_nothing_from_the_others(tmp_path: Path) -> None:
    write(tmp_path, "10.json", "{")
    write(tmp_path, "20.json", json.dumps([{**ROW, "quirk": "no-luck"}]))
    write(tmp_path, "30.json", json.dumps([ROW]))
    loaded = load(str(tmp_path), os.getuid())
    assert len(loaded.quirks) == len(SHIPPED) + 1
    assert "10.json" in loaded.damaged
    assert "20.json" in loaded.damaged
    assert "quirks[0].quirk" in loaded.damaged
