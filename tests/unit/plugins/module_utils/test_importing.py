# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sent as an archive is imported part by part, from the archive."""

from __future__ import annotations

import importlib
import py_compile
import sys
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest
from ansible_collections.vfio.power.plugins.module_utils import _importing

PARTS = {
    "sent/__init__.py": "",
    "sent/words/__init__.py": "",
    "sent/words/mode.py": "NAME = 'entry'\ndef told(): return NAME\n",
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
    _importing.compile_once("sent", str(tmp_path / "installed"))
    yield path
    for name in [name for name in sys.modules if name.split(".")[0] == "sent"]:
        del sys.modules[name]


def test_parts_find_each_other(archive: Path) -> None:
    plan = importlib.import_module("sent.think.plan")
    assert plan.NAME == "entry"
    assert plan.__spec__.origin == f"{archive}/sent/think/plan.py"
    for name in ("sent.words", "sent.words.mode", "sent.think", "sent.think.plan"):
        assert type(sys.modules[name].__loader__).__module__ == _importing.__name__


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
    _importing.compile_once("unpacked", "/nowhere")
    assert importlib.import_module("unpacked.part").NAME == "entry"
    del sys.modules["unpacked.part"], sys.modules["unpacked"]


def install(folder: Path, mode: PycInvalidationMode = PycInvalidationMode.CHECKED_HASH) -> Path:
    """Have a part installed in a folder, with byte code; return where the byte code is."""
    path = folder / "installed" / "words" / "mode.py"
    path.parent.mkdir(parents=True)
    path.write_text(PARTS["sent/words/mode.py"])
    return Path(py_compile.compile(str(path), doraise=True, invalidation_mode=mode))


def origin(name: str) -> str:
    """Where the byte code of a function was made."""
    return str(importlib.import_module(name).told.__code__.co_filename)


def test_a_part_that_is_installed_is_not_compiled_again(archive: Path, tmp_path: Path) -> None:
    install(tmp_path)
    assert origin("sent.words.mode") == str(tmp_path / "installed/words/mode.py")


def test_a_part_that_is_another_one_there_is_taken_from_the_archive(
    archive: Path, tmp_path: Path
) -> None:
    compiled = install(tmp_path)
    content = bytearray(compiled.read_bytes())
    content[8] ^= 1  # of the source's hash
    compiled.write_bytes(content)
    assert origin("sent.words.mode") == f"{archive}/sent/words/mode.py"


@pytest.mark.parametrize("rest", [0, 20])
def test_byte_code_that_is_cut_off_is_not_used(archive: Path, tmp_path: Path, rest: int) -> None:
    compiled = install(tmp_path)
    compiled.write_bytes(compiled.read_bytes()[: 16 + rest])
    assert origin("sent.words.mode") == f"{archive}/sent/words/mode.py"


def test_byte_code_that_goes_by_times_is_not_used(archive: Path, tmp_path: Path) -> None:
    install(tmp_path, PycInvalidationMode.TIMESTAMP)
    assert origin("sent.words.mode") == f"{archive}/sent/words/mode.py"


def test_byte_code_that_anybody_can_write_is_not_used(archive: Path, tmp_path: Path) -> None:
    install(tmp_path).chmod(0o666)
    assert origin("sent.words.mode") == f"{archive}/sent/words/mode.py"
