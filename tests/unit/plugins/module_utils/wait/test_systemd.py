# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the helper tells the service manager, and what it is handed over by it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.systemd import (
    Notifier,
    handed_over,
    inherited_descriptors,
)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def test_the_manager_hears_how_it_stands(manager: socket.socket) -> None:
    environ = {"NOTIFY_SOCKET": str(manager.getsockname())}
    notifier = Notifier(environ)
    assert environ == {}
    notifier.ready("5 devices")
    assert manager.recv(100) == b"READY=1\nSTATUS=5 devices"
    notifier.extend(1.5)
    assert manager.recv(100) == b"EXTEND_TIMEOUT_USEC=1500000"
    notifier.stopping()
    assert manager.recv(100) == b"STOPPING=1"


def test_a_manager_that_watches_says_for_how_long_it_bears_silence(manager: socket.socket) -> None:
    environ = {"NOTIFY_SOCKET": str(manager.getsockname()), "WATCHDOG_USEC": "30000000"}
    environ["WATCHDOG_PID"] = str(os.getpid())
    notifier = Notifier(environ)
    assert environ == {}
    assert notifier.patience == 30.0
    notifier.alive()
    assert manager.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    "environ",
    [{}, {"WATCHDOG_USEC": ""}, {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}],
    ids=["nobody", "off", "somebody else"],
)
def test_who_is_not_watched_need_not_say_anything(environ: dict[str, str]) -> None:
    assert Notifier(environ).patience == 0.0


def test_a_manager_in_the_abstract_namespace_hears_too() -> None:
    name = f"vfio-power-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name)
        Notifier({"NOTIFY_SOCKET": "@" + name}).ready()
        assert listening.recv(100) == b"READY=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/nonexistent/notify"}])
def test_without_a_manager_nothing_happens(environ: dict[str, str]) -> None:
    Notifier(environ).ready("5 devices")


def test_descriptors_for_another_process_are_not_taken() -> None:
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"}
    assert inherited_descriptors(environ) == []
    assert environ == {}


@pytest.mark.parametrize("count", ["", "0", "-1", "many"])
def test_without_descriptors_there_is_no_socket(count: str) -> None:
    assert handed_over({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count}) == ([], [])


CHILD = """
import os, sys
sys.path.insert(0, sys.argv[2])
os.dup2(int(sys.argv[1]), 3)
os.dup2(os.open("/dev/null", os.O_RDWR), 4)
names = "vfio-powerd.socket:" + os.environ["KEPT"]
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES=names)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait import systemd
(listening,), ((keepsake, wake),) = systemd.handed_over(os.environ)
assert keepsake.name() == os.environ["KEPT"], keepsake
assert wake.fileno() == 4
client, _address = listening.accept()
client.sendall(b"inheritable" if os.get_inheritable(3) else b"closed on exec")
"""


def test_a_socket_is_served_and_what_was_kept_is_known(tmp_path: Path) -> None:
    root = __file__.partition("/ansible_collections/")[0]
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()
        number = listening.fileno()
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(number), root],
            pass_fds=[number],
            env={**os.environ, "KEPT": "vfp1.wake.0000-02-00.0.g9"},
        )
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(tmp_path / "socket"))
            assert client.recv(100) == b"closed on exec"
        assert child.wait(20) == 0
