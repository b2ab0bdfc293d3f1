# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every test leaves the room as it found it: no descriptor and no thread stays behind."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest

PATIENCE = 2.0  # seconds for threads to end
MOMENT = 0.1  # in which most of them do
MEMORY = "/dev/shm"  # where nobody waits for a disk; that we ask to, test_power_cut.py sees


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory, gone after the test, and of a path short enough for a socket.

    ansible-test forks for each test. pytest's own would look through all folders before, in each.
    A thread that the test did not wait for may write into it to its own end.
    """
    before = _threads()
    with tempfile.TemporaryDirectory(prefix="vp", dir=memory()) as folder:
        yield Path(folder)
        ended = time.monotonic()
        while _threads() - before and time.monotonic() < ended + PATIENCE:
            time.sleep(0.002)


def memory() -> Optional[str]:
    """Return where a folder is in memory, if the host has such a place."""
    return MEMORY if os.access(MEMORY, os.W_OK) else None


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a descriptor or a thread."""
    before = _descriptors() | _threads()
    yield
    ended = time.monotonic()
    garbage = True
    while (left := (_descriptors() | _threads()) - before) and time.monotonic() < ended + PATIENCE:
        if garbage and time.monotonic() > ended + MOMENT:
            gc.collect()  # which takes longer than most tests
            garbage = False
        time.sleep(0.002)
    assert not left, f"left behind: {sorted(left)}"


def _descriptors() -> set[str]:
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"descriptor {number}: {os.readlink(f'/proc/self/fd/{number}')}")
        except OSError:
            continue  # the one that listed the others
    return found


def _threads() -> set[str]:
    return {f"thread {thread.ident}: {thread.name}" for thread in threading.enumerate()}
