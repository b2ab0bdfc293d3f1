# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to the devices, told line by line as it happens."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.cli.main import run
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.wire import report_to_json
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    HoldReport,
    Reentries,
)

from ..fake.host import FakeDevice
from ..touch.scene import NOW, Scene


class Paper(io.StringIO):
    """An output after whose last line somebody presses Ctrl-C."""

    def __init__(self, last: str) -> None:
        super().__init__()
        self._last = last

    def write(self, text: str) -> int:
        if self._last in text:
            raise KeyboardInterrupt
        return super().write(text)


def watched(scene: Scene, *words: str) -> str:
    """Watch until the scene's events are told."""
    paper, err = Paper(last="curtain"), io.StringIO()
    scene.events.append(event("curtain", HoldReport(next(iter(scene.reports)))))
    with scene.serve():
        status = run(["watch", *words], scene.surroundings(), paper, err, {})
    assert (status, err.getvalue()) == (0, "")
    return paper.getvalue()


def event(name: str, report: HoldReport, detail: str = "", after: float = 0) -> dict[str, Any]:
    return {
        "event": name,
        "time": NOW + after,
        "address": str(report.address),
        "detail": detail or None,
        "device": report_to_json(report),
    }


@pytest.fixture
def nic(scene: Scene) -> FakeDevice:
    nic = scene.add("0000:03:00.0")
    scene.hold(nic, state="entry-with-wakeup", engaged=Mode.ENTRY_WITH_WAKEUP)
    scene.fall_asleep(nic)
    return nic


def test_a_wake_is_told_with_who_and_until_when(scene: Scene, nic: FakeDevice) -> None:
    armed = scene.reports[nic.address]
    woken = armed._replace(state="waiting", engaged=Mode.NONE, waiting_until=NOW + 9)
    scene.events = [
        event("woken-foreign", armed, after=4),
        event("waiting", woken, "foreign", after=4),
        event("entering", woken._replace(state="entering"), after=9),
        event("entered", armed, "entry-with-wakeup", after=10),
    ]
    assert watched(scene) == dedent("""\
        22:13:20  0000:03:00.0  entry-with-wakeup engaged, asleep D3cold
        22:13:24  0000:03:00.0  woken by somebody else; entering again at 22:13:29
        22:13:30  0000:03:00.0  low power allowed (entry-with-wakeup)
    """)


def test_a_wake_that_has_to_wait_for_its_turn_says_so(scene: Scene, nic: FakeDevice) -> None:
    late = Reentries(put_off_by="bucket")
    woken = HoldReport(nic.address, state="waiting", waiting_until=NOW + 60, reentries=late)
    scene.events = [event("waiting", woken, "foreign", after=4)]
    assert (
        watched(scene)
        .splitlines()[1]
        .endswith(
            "woken by somebody else; entering again at 22:14:20, when the bound per hour allows it"
        )
    )


def test_each_event_has_its_words(scene: Scene, nic: FakeDevice) -> None:
    report = HoldReport(nic.address)
    told = {
        ("taking", ""): "opening it",
        ("taken", "open"): "opened and held",
        ("woken-own", ""): "woken by our own work",
        ("exited", "exit"): "low power ended",
        ("letting-go", ""): "letting it go",
        ("released", "close"): "let go",
        (
            "refused",
            "0000:03:00.0: cannot open: EBUSY",
        ): "refused: 0000:03:00.0: cannot open: EBUSY",
        ("requested", ""): "the kernel wants it back",
        ("breaker-open", "8 wakes in 47 s"): "a storm of 8 wakes in 47 s",
        ("breaker-half-open", "8 wakes in 47 s"): "being tried after a storm of 8 wakes in 47 s",
        ("breaker-closed", "8 wakes in 47 s"): "the storm of wakes is over",
        ("leased", "guest/web"): "leased to guest/web",
        ("lease-ended", "guest/web"): "lease of guest/web ended",
        ("lease-ended", ""): "lease of somebody ended",
        ("bound", "vfio-pci"): "bound to vfio-pci",
        ("bound", ""): "bound to a driver",
        ("unbound", "nvidia"): "taken off nvidia",
        ("unbound", ""): "taken off a driver",
        ("something-new", "x {y}"): "something-new",
    }
    scene.events = [event(name, report, detail) for name, detail in told]
    lines = watched(scene).splitlines()[1:]
    assert [line.split("  ", 2)[2] for line in lines] == list(told.values())


def test_a_host_without_devices_says_so(scene: Scene) -> None:
    paper = Paper(last="bound")
    nobody = scene.add("0000:03:00.0")
    scene.events = [event("bound", HoldReport(nobody.address))]
    with scene.serve():
        run(["watch"], scene.surroundings(), paper, io.StringIO(), {})
    assert paper.getvalue() == "22:13:20  no device is declared yet\n"


def test_json_is_one_object_a_line(scene: Scene, nic: FakeDevice) -> None:
    scene.events = [event("bound", scene.reports[nic.address])]
    documents = [json.loads(line) for line in watched(scene, "--json").splitlines()]
    assert [document["event"] for document in documents] == ["snapshot", "bound"]


def test_the_end_of_the_helper_ends_it_with_three(scene: Scene, nic: FakeDevice) -> None:
    class Ending(io.StringIO):
        """Stops the helper when the first line is printed."""

        def write(self, text: str) -> int:
            serving.do(serving.server.close)
            return super().write(text)

    err = io.StringIO()
    with scene.serve() as serving:
        status = run(["watch"], scene.surroundings(), Ending(), err, {})
    assert status == 3
    assert "The helper went away" in err.getvalue()


# A shell that starts the tests in the background has them, and what they start, ignore Ctrl-C.
CHILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, sys.argv[1])
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.cli import main
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.client import Client
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.manager import Standing
defaults = (Client(sys.argv[2]), None, None, None, None, Standing, None)
main.Surroundings.__init__.__defaults__ = defaults
sys.exit(main.main(["watch"]))
"""


@pytest.fixture
def child(scene: Scene, nic: FakeDevice) -> Iterator[subprocess.Popen[str]]:
    """The command as a process of its own, watching."""
    root = __file__.partition("/ansible_collections/")[0]
    with scene.serve():
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, root, scene.client.path],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            yield process
            process.kill()


def test_ctrl_c_ends_it_quietly(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    assert "0000:03:00.0" in child.stdout.readline()
    os.kill(child.pid, signal.SIGINT)
    _out, err = child.communicate(timeout=20)
    assert (child.returncode, err) == (0, "")


def test_a_reader_that_has_seen_enough_ends_it_quietly(
    scene: Scene, nic: FakeDevice, child: subprocess.Popen[str]
) -> None:
    assert child.stdout is not None
    assert child.stderr is not None
    assert "0000:03:00.0" in child.stdout.readline()
    child.stdout.close()
    scene.say(event("bound", scene.reports[nic.address]))
    assert child.wait(20) == 0
    assert child.stderr.read() == ""
