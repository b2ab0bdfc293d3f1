# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The descriptor store, with a service manager that keeps what it is sent."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch import fdstore
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.eventfd import (
    drain,
    eventfd,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.fdstore import FdStore
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.descriptor import OwnedFd

NAME = "vfp1.wake.0000-41-00.0.g15"


class Manager:
    """The other end: keeps descriptors by name, and closes each barrier it meets."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.kept: list[tuple[str, OwnedFd]] = []
        self.heard = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._thread = threading.Thread(target=self._listen, name="manager")
        self._thread.start()

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self.path)
        self._thread.join()
        self._socket.close()
        for _name, descriptor in self.kept:
            descriptor.close()

    def _listen(self) -> None:
        while True:
            message, numbers, _flags, _peer = socket.recv_fds(self._socket, 4096, 8)
            if not message:
                return
            self.heard += 1
            words = dict(line.split("=", 1) for line in message.decode().splitlines())
            descriptors = [OwnedFd(number) for number in numbers]
            if words.get("FDSTORE") == "1":
                assert words["FDPOLL"] == "0"
                self.kept += [(words["FDNAME"], descriptor) for descriptor in descriptors]
                continue
            for descriptor in descriptors:
                descriptor.close()
            if words.get("FDSTOREREMOVE") == "1":
                self._forget(words["FDNAME"])

    def _forget(self, name: str) -> None:
        for kept, descriptor in self.kept:
            if kept == name:
                descriptor.close()
        self.kept = [entry for entry in self.kept if entry[0] != name]


@contextmanager
def away(manager: Manager) -> Iterator[None]:
    """Let nobody reach the manager for the length of a block."""
    elsewhere = f"{manager.path}.away"
    os.rename(manager.path, elsewhere)
    try:
        yield
    finally:
        os.rename(elsewhere, manager.path)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


def fail(error: OSError) -> None:
    raise AssertionError(error)


def test_a_copy_is_kept_until_it_is_forgotten(manager: Manager) -> None:
    store = FdStore(manager.path, fail)
    with eventfd() as wake:
        store.keep({NAME: wake})
        ((name, copy),) = manager.kept
        assert name == NAME
        os.write(copy.fileno(), (3).to_bytes(8, "little"))
        assert drain(wake) == 3
        assert store.count == 1
        store.forget([NAME])
        assert manager.kept == []
        assert copy.fileno() == -1
        assert store.count == 0


def test_what_is_kept_anew_takes_the_place_of_what_was_kept(manager: Manager) -> None:
    store = FdStore(manager.path, fail)
    with eventfd() as first, eventfd() as second:
        store.keep({NAME: first})
        store.keep({NAME: second})
        ((_name, copy),) = manager.kept
        os.write(copy.fileno(), (1).to_bytes(8, "little"))
        assert (drain(first), drain(second)) == (0, 1)
        assert store.count == 1


def test_what_could_not_be_forgotten_makes_room_for_what_is_kept_next(manager: Manager) -> None:
    errors: list[OSError] = []
    store = FdStore(manager.path, errors.append)
    with eventfd() as first, eventfd() as second:
        store.keep({NAME: first})
        with away(manager):
            store.forget([NAME])
        assert errors
        store.keep({NAME: second})
        ((_name, copy),) = manager.kept
        os.write(copy.fileno(), (1).to_bytes(8, "little"))
        assert (drain(first), drain(second)) == (0, 1)


def test_what_was_never_kept_is_not_to_be_forgotten_first(manager: Manager) -> None:
    store = FdStore(manager.path, fail)
    with eventfd() as first, eventfd() as second:
        store.keep({NAME: first, "vfp1.shared.g15": second})
    assert manager.heard == 3  # the two, and that it has read them


def test_what_a_helper_before_us_had_kept_is_replaced_too(manager: Manager) -> None:
    with eventfd() as first, eventfd() as second:
        FdStore(manager.path, fail).keep({NAME: first})
        store = FdStore(manager.path, fail)
        store.kept_before(name for name, _copy in manager.kept)
        store.keep({NAME: second})
        ((_name, copy),) = manager.kept
        os.write(copy.fileno(), (1).to_bytes(8, "little"))
        assert (drain(first), drain(second)) == (0, 1)


def test_what_was_kept_before_is_counted(manager: Manager) -> None:
    store = FdStore(manager.path, fail)
    store.kept_before([NAME, "vfp1.shared.g15"])
    assert store.count == 2
    store.forget([NAME])
    assert store.count == 1


def test_a_manager_that_is_not_there_is_told_and_the_device_stays_held(tmp_path: Path) -> None:
    errors: list[OSError] = []
    store = FdStore(str(tmp_path / "nobody"), errors.append)
    with eventfd() as wake:
        store.keep({NAME: wake})
        assert wake.fileno() >= 0
    assert errors


def test_a_manager_that_does_not_answer_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fdstore, "PATIENCE", 0.05)
    errors: list[OSError] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf, eventfd() as wake:
        deaf.bind(str(tmp_path / "notify"))
        FdStore(str(tmp_path / "notify"), errors.append).keep({NAME: wake})
    assert [type(error) for error in errors] == [TimeoutError]


def test_without_a_manager_nothing_is_kept_and_nobody_complains() -> None:
    with eventfd() as wake:
        FdStore("", fail).keep({NAME: wake})
