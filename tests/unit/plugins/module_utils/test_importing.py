# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sent as an archive is imported part by part, from the archive."""

from __future__ import annotations

import importlib
import sys
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils import _importing

PARTS = {
    "sent/__init__.py": "",
    "sent/words/__init__.py": "",
    "sent/words/mode.py": "from __future__ import annotations\nNAME = 'entry'\n",
    "sent/think/__init__.py": "",
    "sent/think/plan.py": "from ..words.mode import NAME\ndef fail(): raise ValueError(NAME)\n",
}


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An archive with a package on Python's path, to be imported the quick way."""
    path = tmp_path / "payload.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, source in PARTS.items():
            opened.writestr(name, source)
    monkeypatch.syspath_prepend(str(path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    _importing.compile_once("sent")
    yield path
    for name in [name for name in sys.modules if name.split(".")[0] == "sent"]:
        del sys.modules[name]


def test_parts_find_each_other(archive: Path) -> None:
    plan = importlib.import_module("sent.think.plan")
    assert plan.NAME == "entry"
    assert plan.__spec__.origin == f"{archive}/sent/think/plan.py"


def test_an_error_tells_its_place_in_the_archive(archive: Path) -> None:
    plan = importlib.import_module("sent.think.plan")
    with pytest.raises(ValueError, match="entry") as caught:
        plan.fail()
    assert f"{archive}/sent/think/plan.py" in "".join(traceback.format_tb(caught.tb))


def test_a_part_that_was_not_sent_is_missing(archive: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"sent\.hold"):
        importlib.import_module("sent.hold")


def test_what_is_not_in_an_archive_is_left_to_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unpacked").mkdir()
    (tmp_path / "unpacked" / "part.py").write_text("NAME = 'entry'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    _importing.compile_once("unpacked")
    assert importlib.import_module("unpacked.part").NAME == "entry"
    del sys.modules["unpacked.part"], sys.modules["unpacked"]
