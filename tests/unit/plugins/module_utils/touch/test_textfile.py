# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader of the file sees the old or the new, and nobody is led elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch import textfile


def test_the_file_can_be_read_by_everybody_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "vfio.prom"
    before = os.umask(0o077)
    try:
        textfile.write(str(path), "first\n")
        textfile.write(str(path), "second\n")
    finally:
        os.umask(before)
    assert path.read_text() == "second\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["vfio.prom"]


def test_who_reads_meanwhile_has_the_old_text(tmp_path: Path) -> None:
    path = tmp_path / "vfio.prom"
    textfile.write(str(path), "first\n")
    with path.open() as reader:
        textfile.write(str(path), "second\n")
        assert reader.read() == "first\n"


def test_what_a_writer_left_that_died_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / ".vfio.prom.new").write_text("half")
    textfile.write(str(tmp_path / "vfio.prom"), "whole\n")
    assert os.listdir(tmp_path) == ["vfio.prom"]


def test_a_link_in_the_place_of_the_new_file_leads_nowhere(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name in (".vfio.prom.new", "vfio.prom"):
        (tmp_path / name).symlink_to(victim)
    textfile.write(str(tmp_path / "vfio.prom"), "whole\n")
    assert victim.read_text() == "mine"
    assert not (tmp_path / "vfio.prom").is_symlink()


@pytest.mark.parametrize("kind", ["missing", "link"])
def test_a_folder_that_is_none_is_refused_with_the_name_of_the_file(
    tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / "folder"
    if kind == "link":
        folder.symlink_to(tmp_path)
    with pytest.raises(OSError, match=r"vfio\.prom") as refused:
        textfile.write(str(folder / "vfio.prom"), "text\n")
    assert refused.value.filename == str(folder / "vfio.prom")
