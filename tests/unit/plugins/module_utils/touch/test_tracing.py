# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tracing instance is private, and gone afterwards whatever happens; each refusal says why."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch import untraceable
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.tracing import (
    PREFIX,
    Tracefs,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.untraceable import (
    CannotTrace,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress

from ..fake.tracing import FakeTracefs

CARD = "0000:01:00.0"


def ours() -> str:
    """What our instance is called; a function, as every test may run in a process of its own."""
    return f"{PREFIX}{os.getpid()}"


@pytest.fixture
def tracefs(tmp_path: Path) -> FakeTracefs:
    return FakeTracefs(tmp_path / "tracing")


def refusal(tracefs: Tracefs) -> str:
    """What is said where nothing can be traced."""
    with pytest.raises(CannotTrace) as refused, tracefs.tracing():
        pass
    return str(refused.value)


def test_it_notes_what_is_done_to_the_devices_and_is_gone_afterwards(tracefs: FakeTracefs) -> None:
    with tracefs.tracing() as trace:
        assert tracefs.names() == [ours()]
        trace.follow({PciAddress.parse(CARD)})
        assert tracefs.follows(CARD)
        trace.follow({PciAddress.parse("0000:02:00.0")})
        assert tracefs.follows(CARD, "0000:02:00.0")
        assert trace.lines() == []
        tracefs.note("one\ntwo\nthr")
        assert trace.lines() == ["one", "two"]
        tracefs.note("ee\n")
        assert trace.lines() == ["three"]
    assert tracefs.names() == []


def test_it_reads_times_that_can_be_compared_and_takes_little_memory(tracefs: FakeTracefs) -> None:
    with tracefs.tracing() as trace:
        written = {
            name: Path(trace.folder, name).read_text()
            for name in os.listdir(trace.folder)
            if Path(trace.folder, name).is_file()
        }
    assert written == {"trace_clock": "mono", "buffer_size_kb": "64"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError, ValueError])
def test_it_is_gone_after_an_error(tracefs: FakeTracefs, error: type[BaseException]) -> None:
    with pytest.raises(error), tracefs.tracing():
        raise error
    assert tracefs.names() == []


def test_a_signal_while_it_is_made_waits_until_its_end_is_seen_to(tracefs: FakeTracefs) -> None:
    class Interrupted(FakeTracefs):
        def make(self, folder: str) -> None:
            super().make(folder)
            signal.raise_signal(signal.SIGINT)  # to this thread: pytest may have others
            assert self.names() == [ours()]

    interrupted = Interrupted(tracefs.instances.parent / "other")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), interrupted.tracing():
            pass
    finally:
        signal.signal(signal.SIGINT, before)
    assert interrupted.names() == []


def test_what_a_killed_watcher_left_behind_is_removed(tracefs: FakeTracefs) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    for name in (f"{PREFIX}{gone.pid}", ours(), f"{PREFIX}1", f"{PREFIX}x", "trace-cmd"):
        (tracefs.instances / name).mkdir()
    with tracefs.tracing():
        assert tracefs.names() == sorted([ours(), f"{PREFIX}1", f"{PREFIX}x", "trace-cmd"])


def test_one_that_somebody_else_reads_is_left_and_named(tracefs: FakeTracefs) -> None:
    with pytest.raises(CannotTrace) as refused, tracefs.tracing() as trace:
        reading = os.open(f"{trace.folder}/trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
    os.close(reading)
    assert str(refused.value) == (
        f"Cannot remove {trace.folder}: Device or resource busy. Do it later: rmdir {trace.folder}"
    )
    tracefs.remove(trace.folder)


class TestRefusals:
    def test_a_kernel_without_tracing(self, tmp_path: Path) -> None:
        root = tmp_path / "tracing"
        assert refusal(Tracefs(str(root))) == (
            f"This kernel cannot be traced: there is no {root}."
            " Watch without --who, or use a kernel that was built with CONFIG_FTRACE"
        )

    def test_a_host_that_did_not_mount_it(self, tmp_path: Path) -> None:
        assert refusal(Tracefs(str(tmp_path))) == (
            f"tracefs is not mounted at {tmp_path}. Mount it: mount -t tracefs tracefs {tmp_path}"
        )

    def test_a_kernel_that_is_locked_down(self, tmp_path: Path) -> None:
        (tmp_path / "lockdown").write_text("none integrity [confidentiality]\n")
        assert refusal(Tracefs(str(tmp_path), str(tmp_path / "lockdown"))) == (
            "The kernel is locked down (confidentiality) and cannot be traced."
            " Watch without --who, or boot without lockdown=confidentiality"
        )

    def test_a_kernel_without_the_tracepoint(self, tmp_path: Path) -> None:
        tracefs = FakeTracefs(tmp_path / "tracing", events=())
        assert refusal(tracefs).startswith(
            "This kernel has no tracepoint rpm:rpm_resume. Watch without --who, or "
        )
        assert tracefs.names() == []

    def test_a_user_who_is_not_root(
        self, tracefs: FakeTracefs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def make(_folder: str) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(tracefs, "make", make)
        monkeypatch.setattr(untraceable.os, "geteuid", lambda: 1000)
        assert refusal(tracefs) == (
            "Only root may trace the kernel. Become root, or watch without --who"
        )

    def test_a_kernel_that_has_no_memory_for_it(
        self, tracefs: FakeTracefs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def make(folder: str) -> None:
            raise OSError(12, "Cannot allocate memory", folder)

        monkeypatch.setattr(tracefs, "make", make)
        assert refusal(tracefs).startswith(
            f"The kernel gives no tracing instance: {tracefs.instances}/{ours()}:"
            " Cannot allocate memory. Watch without --who, or "
        )
