# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries reach the journal with their fields, and standard error with their priority."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.entries import (
    OF_DEVICES,
    OF_THE_HELPER,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait import journal
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.journal import (
    complain,
    tell,
    tell_failure,
    write,
)


def parsed(record: bytes) -> dict[str, str]:
    """Read a record as the journal does."""
    fields = {}
    while record:
        line, _newline, record = record.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            length = int.from_bytes(record[:8], "little")
            value, record = record[8 : 8 + length], record[9 + length :]
        fields[name.decode()] = value.decode()
    return fields


@pytest.fixture
def reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Read what is sent to a journal to which standard error leads."""
    there = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{there.st_dev}:{there.st_ino}")
    monkeypatch.setattr(journal, "SOCKET", str(tmp_path / "socket"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "socket"))
        made.settimeout(5)
        yield made


def test_an_entry_has_its_fields(
    reading: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = OF_DEVICES["stuck"]
    write("stuck", entry, "first\nsecond", {"VFIO_PCI_ADDRESS": "0000:02:00.0"})
    assert parsed(reading.recv(65536)) == {
        "MESSAGE": "first\nsecond",
        "MESSAGE_ID": entry.message_id,
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "vfio-powerd",
        "VFIO_EVENT": "stuck",
        "VFIO_PCI_ADDRESS": "0000:02:00.0",
    }
    assert capsys.readouterr().err == ""


def test_no_text_poses_as_a_field(reading: socket.socket) -> None:
    tell("damaged", "file\nPRIORITY=0\nMESSAGE_ID=other", {"VFIO_RULE": "a\nPRIORITY=0\n"})
    fields = parsed(reading.recv(65536))
    assert fields["PRIORITY"] == "4"
    assert fields["MESSAGE_ID"] == OF_THE_HELPER["damaged"].message_id
    assert fields["VFIO_RULE"] == "a\nPRIORITY=0\n"


def test_a_text_without_end_is_cut(reading: socket.socket) -> None:
    tell("unexpected", "x" * 1_000_000)
    assert len(parsed(reading.recv(65536))["MESSAGE"]) == journal.LONGEST


def test_a_journal_that_does_not_read_holds_nobody_up(reading: socket.socket) -> None:
    reading.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for _turn in range(2000):
        tell("ready", "x" * 1000)
    reading.recv(65536)


def test_without_a_journal_every_line_has_the_priority(
    reading: socket.socket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "socket").unlink()
    tell("damaged", "first\nsecond")
    assert capsys.readouterr().err == "<4>first\n<4>second\n"


@pytest.mark.parametrize("stream", ["", "1:2", "nonsense"])
def test_a_standard_error_that_leads_elsewhere_is_where_lines_go(
    reading: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stream: str,
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", stream)
    tell("ready", "ready")
    assert capsys.readouterr().err == "<6>ready\n"
    reading.setblocking(False)
    with pytest.raises(BlockingIOError):
        reading.recv(1)


@pytest.mark.usefixtures("reading")
def test_last_words_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    complain("pyudev is missing")
    assert capsys.readouterr().err == "<3>pyudev is missing\n"


def test_an_unexpected_error_is_told_with_its_way(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise RuntimeError("oh no")
    except RuntimeError as error:
        tell_failure(error)
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("<3>") for line in lines)
    assert lines[-1] == "<3>RuntimeError: oh no"
    assert any("test_journal.py" in line for line in lines)
