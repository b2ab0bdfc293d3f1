# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``watch --who``: what the helper tells and what the kernel noted, as one story."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Callable

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.cli import who
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.cli.main import run
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think import repeats
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.wire import report_to_json
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    Wakes,
)

from ..think import recorded
from ..think.recorded import DISK, NIC
from ..touch.scene import NOW, Scene

AHEAD = NOW - 217.0
"""What the clock of people is ahead of that of the recorded lines."""


class Story(io.StringIO):
    """An output; what happens next happens when a line with its cue is printed."""

    def __init__(self) -> None:
        super().__init__()
        self._next: list[tuple[str, Callable[[], object]]] = []

    def after(self, cue: str, *happens: Callable[[], object]) -> None:
        """Have something happen after the next line with the cue."""
        self._next.append((cue, lambda: [it() for it in happens]))

    def write(self, text: str) -> int:
        written = super().write(text)
        if self._next and self._next[0][0] in text:
            self._next.pop(0)[1]()
        return written


def end() -> None:
    raise KeyboardInterrupt


def give_up(_number: int, _frame: object) -> None:
    raise AssertionError("it waits for what does not come")


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """Fail a test in which the next thing does not happen."""
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of the recorded lines."""
    clocks = SimpleNamespace(monotonic=lambda: 217.0, time=lambda: NOW)
    monkeypatch.setattr(who, "time", clocks)


class Watching:
    """A host with a device in each mode, and somebody who watches it."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.story = Story()
        self.err = io.StringIO()
        self.nic, self.disk = scene.add(NIC), scene.add(DISK)
        ewu = Mode.ENTRY_WITH_WAKEUP
        scene.hold(self.nic, state="entry-with-wakeup", engaged=ewu, wakes=Wakes())
        scene.hold(self.disk, state="entry", engaged=Mode.ENTRY)
        for device in (self.nic, self.disk):
            scene.fall_asleep(device)
        scene.status["pid"] = 447

    def notes(self, text: str) -> Callable[[], None]:
        return lambda: self.scene.tracefs.note(text)

    def tells(
        self, name: str, detail: str = "", after: float = 0, **fields: Any
    ) -> Callable[[], None]:
        """The helper tells something of the device in entry-with-wakeup."""
        report = self.scene.reports[self.nic.address]._replace(**fields)
        told = {
            "event": name,
            "time": NOW + after,
            "address": NIC,
            "detail": detail or None,
            "device": report_to_json(report),
        }
        return lambda: self.scene.say(told)

    def wakes(self, kind: str = "foreign") -> list[Callable[[], None]]:
        awake = {"state": "waiting", "engaged": Mode.NONE, "waiting_until": NOW + 5}
        return [self.tells(f"woken-{kind}"), self.tells("waiting", kind, **awake)]

    def run(self, *words: str) -> int:
        with self.scene.serve():
            return run(
                ["watch", "--who", *words], self.scene.surroundings(), self.story, self.err, {}
            )

    def lines(self, *words: str) -> list[str]:
        """What is printed below the picture of the beginning, until Ctrl-C."""
        assert self.run(*words) == 0, self.err.getvalue()
        assert self.scene.tracefs.names() == []
        return self.story.getvalue().splitlines()[1 if words else 2 :]


@pytest.fixture
def watching(scene: Scene, clocks: None) -> Watching:
    return Watching(scene)


def test_a_wake_ends_in_who_it_was(watching: Watching) -> None:
    watching.story.after(DISK, watching.notes(recorded.LSPCI), *watching.wakes())
    watching.story.after("woken", end)
    assert watching.lines() == [
        "22:13:20  0000:01:00.0  woken by somebody else; entering again at 22:13:25;"
        " it was a process that is gone (pid 546)"
    ]


def test_of_a_device_in_entry_the_kernel_alone_tells(watching: Watching) -> None:
    watching.story.after(DISK, watching.notes(recorded.SETPCI))
    watching.story.after("woken", end)
    assert watching.lines() == ["22:13:21  0000:02:00.0  woken by setpci (pid 548)"]


def test_one_who_comes_again_and_again_is_counted(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "WINDOW", 0.0)
    again = [recorded.SETPCI.replace("-548", f"-{pid}") for pid in (548, 600, 601)]
    watching.story.after(DISK, watching.notes("".join(again)))
    watching.story.after("more times", end)
    assert watching.lines() == [
        "22:13:21  0000:02:00.0  woken by setpci (pid 548)",
        "22:13:20  0000:02:00.0  woken 2 more times by setpci (pid 601)",
    ]


@pytest.mark.parametrize(
    ("noted", "kind", "ending"),
    [
        ("", "foreign", "; cannot tell who it was: the kernel's trace has nothing of it"),
        (recorded.GAP, "foreign", "; cannot tell who it was: the kernel's trace has a gap"),
        (
            recorded.LSPCI.replace("d..1.", "d.h1."),
            "foreign",
            "; it was an interrupt: cannot tell who asked",
        ),
        (
            recorded.LSPCI.replace("<...>", "kworker/0:1").replace("lspci", "kworker/0:1"),
            "foreign",
            "; it was the kernel (kworker/0:1): cannot tell who asked",
        ),
        (recorded.LSPCI.replace("-546", "-447"), "foreign", "; it was our own helper"),
        (recorded.LSPCI.replace("-546", "-447"), "own", ""),
        (recorded.LSPCI.replace("<...>", "lspci"), "own", "; it was lspci (pid 546)"),
    ],
)
def test_what_cannot_be_told_is_said(
    watching: Watching, noted: str, kind: str, ending: str
) -> None:
    watching.story.after(DISK, watching.notes(noted), *watching.wakes(kind))
    watching.story.after("woken", end)
    whose = "our own work" if kind == "own" else "somebody else"
    assert watching.lines() == [
        f"22:13:20  0000:01:00.0  woken by {whose}; entering again at 22:13:25{ending}"
    ]


def test_a_wake_is_not_the_one_before(watching: Watching) -> None:
    watching.story.after(DISK, watching.notes(recorded.LSPCI), *watching.wakes())
    later = watching.tells("entering", after=1, state="entering", engaged=Mode.NONE)
    watching.story.after("pid 546", later, watching.tells("entered"), *watching.wakes())
    watching.story.after("cannot tell", end)
    told = [line.partition("; entering again at 22:13:25; ")[2] for line in watching.lines()]
    assert told == [
        "it was a process that is gone (pid 546)",
        "",
        "cannot tell who it was: the kernel's trace has nothing of it",
    ]


def test_a_program_has_it_as_a_field(watching: Watching) -> None:
    process = {"kind": "process", "guest": None, "unit": None}
    watching.story.after("snapshot", watching.notes(recorded.LSPCI), *watching.wakes())
    watching.story.after("waiting", watching.notes(recorded.SETPCI))
    watching.story.after('"event": "woken"', end)
    foreign, waiting, woken = (json.loads(line) for line in watching.lines("--json"))
    assert foreign["event"] == "woken-foreign"
    assert foreign["woken_by"] == waiting["woken_by"] == {**process, "command": None, "pid": 546}
    assert woken["woken_by"] == {**process, "command": "setpci", "pid": 548}
    assert (woken["address"], woken["device"]["address"], woken["times"]) == (DISK, DISK, 1)
    assert woken["time"] == pytest.approx(AHEAD + 218.80436)


def test_devices_that_nobody_declared_are_not_followed(watching: Watching) -> None:
    def look() -> None:
        assert watching.scene.tracefs.follows(NIC, DISK)
        end()

    watching.story.after(NIC, look)
    assert watching.lines() == []


def test_a_device_that_is_declared_meanwhile_is_followed(watching: Watching) -> None:
    rng = "0000:04:00.0"
    report = watching.scene.reports[watching.disk.address]
    report = report._replace(address=watching.scene.add(rng).address)
    told = {"event": "taken", "time": NOW, "address": rng, "device": report_to_json(report)}
    watching.story.after(DISK, lambda: watching.scene.say(told))
    watching.story.after("held", watching.notes(recorded.SETPCI.replace(DISK, rng)))
    watching.story.after("woken", end)
    assert watching.lines()[-1] == f"22:13:21  {rng}  woken by setpci (pid 548)"


@pytest.fixture
def signals_restored() -> Iterator[None]:
    """Puts back what becomes of signals: a run under nohup begins with one of them ignored."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_as_ctrl_c_does(
    watching: Watching, signals_restored: None, number: int
) -> None:
    signal.signal(number, signal.SIG_DFL)
    watching.story.after(DISK, lambda: os.kill(os.getpid(), number))
    assert watching.lines() == []
    assert signal.getsignal(number) == signal.SIG_DFL


def test_under_nohup_it_goes_on_when_the_terminal_is_closed(
    watching: Watching, signals_restored: None
) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    watching.story.after(
        DISK, lambda: os.kill(os.getpid(), signal.SIGHUP), watching.notes(recorded.SETPCI)
    )
    watching.story.after("woken", end)
    assert watching.lines() == ["22:13:21  0000:02:00.0  woken by setpci (pid 548)"]


def test_the_end_of_the_helper_leaves_nothing_behind(watching: Watching) -> None:
    serving: list[Any] = []
    watching.story.after(DISK, lambda: serving[0].do(serving[0].server.close))
    with watching.scene.serve() as running:
        serving.append(running)
        status = run(
            ["watch", "--who"], watching.scene.surroundings(), watching.story, watching.err, {}
        )
    assert (status, watching.scene.tracefs.names()) == (3, [])
    assert "The helper went away" in watching.err.getvalue()


def test_where_nothing_can_be_traced_it_is_refused_before_anything_is_told(
    watching: Watching,
) -> None:
    watching.scene.tracefs.instances.rmdir()
    assert watching.run() == 1
    assert watching.story.getvalue() == ""
    assert "tracefs is not mounted at " in watching.err.getvalue()


def test_without_the_option_nothing_is_traced(watching: Watching) -> None:
    def look() -> None:
        assert watching.scene.tracefs.names() == []
        end()

    watching.story.after(NIC, look)
    with watching.scene.serve():
        run(["watch"], watching.scene.surroundings(), watching.story, watching.err, {})
