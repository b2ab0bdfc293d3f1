# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a helper finds that another one left in the middle of something, and what it makes of it."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold.table import (
    Table,
    Tables,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.policy import State
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.records import (
    FOLDER,
    Record,
    Records,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.store import (
    DECLARED,
    DEVICES,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.daemon import Daemon
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import Failure

from ..fake.host import FakeDevice, FakeHost
from ..hold.conftest import ONE_WAY_IN
from ..hold.helper import Asking, Helper, rule, wait_until

pytestmark = ONE_WAY_IN

GRACE = REBIND = 60.0


@pytest.fixture
def nic(host: FakeHost) -> FakeDevice:
    return host.add("0000:02:00.0")


def code(helper: Helper, device: FakeDevice) -> str:
    failure = helper.device(device.address).failure
    return failure.code if failure else ""


@pytest.fixture
def slow_to_load(helper: Helper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the loop turn for a while before the next helper knows what is declared."""
    reload = Tables.reload

    def reload_late(tables: Tables) -> Table:
        for _turn in range(3):
            turned = threading.Event()
            helper.daemon.loop.call_soon_threadsafe(turned.set)
            assert turned.wait(10)
        return reload(tables)

    monkeypatch.setattr(Tables, "reload", reload_late)


@pytest.mark.usefixtures("slow_to_load")
def test_a_lease_that_ended_meanwhile_ends_no_grace_of_another_device(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    lent = host.add("0000:03:00.0")
    helper.apply(rule(nic.address, "entry"), rule(lent.address, "entry"))
    helper.release(lent.address, "guest", ttl=30.0)
    host.unbind(nic.address)
    host.bind(nic.address)
    helper.settle()
    due = helper.device(nic.address).taken_after
    assert due == pytest.approx(time.time() + REBIND, abs=5)
    helper.kill()
    helper.clock.ahead += 40.0
    helper.start()
    helper.settle()
    assert helper.device(lent.address).leases == ()
    report = helper.device(nic.address)
    assert (report.held, report.taken_after) == (False, pytest.approx(due, abs=5))


def test_what_the_bus_tells_before_all_is_known_goes_for_the_whole_unit(
    host: FakeHost, helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = host.add_port("0000:00:1c.0")
    gpu = host.add("0000:02:00.0", port=port, resets=("bus",))
    audio = host.add("0000:02:00.1", port=port, resets=("bus",), driver="snd_hda_intel")
    helper.apply(rule(gpu.address, "entry"))
    helper.kill()
    begin = Daemon.begin

    def begin_while_somebody_unbinds(daemon: Daemon) -> None:
        begin(daemon)
        host.unbind(audio.address)  # as driverctl does for a guest that gets both

    monkeypatch.setattr(Daemon, "begin", begin_while_somebody_unbinds)
    helper.start()
    helper.until(gpu.address, held=False)
    host.bind(audio.address)
    helper.settle()
    due = helper.device(gpu.address).taken_after
    assert due == pytest.approx(time.time() + REBIND, abs=5)


def test_the_grace_of_a_boot_is_given_though_the_first_helper_died_before_it_was_ready(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.stop()
    helper.next_boot()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("")
        helper._make(listener)
        helper.daemon.close()  # before its loop has turned
    helper.start()
    helper.settle()
    report = helper.device(nic.address)
    assert not report.held
    assert report.taken_after == pytest.approx(time.time() + GRACE, abs=5)


def test_of_a_device_that_was_let_go_and_never_woken_no_record_is_left(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "none"))
    helper.kill()
    Records(str(helper.run)).save(nic.address, Record(State.LETTING_GO))
    helper.start()
    assert os.listdir(helper.run / FOLDER) == []


@pytest.mark.parametrize("state", [State.LETTING_GO, State.TAKING, State.STALLED])
def test_a_device_that_no_worker_has_any_more_is_free(
    host: FakeHost, helper: Helper, nic: FakeDevice, state: State
) -> None:
    helper.apply(rule(nic.address, "none"))
    helper.kill()
    failure = Failure("unsupported", "its driver does not offer it", "")
    Records(str(helper.run)).save(nic.address, Record(state, failure=failure))
    helper.start()
    report = helper.device(nic.address)
    assert (report.state, report.held) == ("released", False)
    assert helper.release(nic.address, "guest")[nic.address].leases
    helper.reclaim(nic.address, "guest")
    host.unbind(nic.address)
    host.bind(nic.address)  # to a driver that may offer it
    helper.settle()
    assert helper.apply(rule(nic.address, "entry")).devices[nic.address].engaged is Mode.ENTRY


def test_a_device_without_the_feature_is_let_go_though_nobody_lived_to_hear_of_it(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    gate = helper.held_up_in("probe", rule(nic.address, "entry"))
    for operation in ("probe", "exit"):
        host.refuse(nic.address, operation, errno.ENOTTY)
    helper.kill_in_a_call(gate)
    helper.start()
    helper.until(nic.address, held=False, state="released")
    assert code(helper, nic) == "unsupported"


def test_a_device_that_was_being_taken_when_the_helper_was_stopped_is_asked_for_again(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    gate = helper.held_up_in("open", rule(nic.address, "entry"))
    stopping = Asking(lambda: helper.client.call("LetGo", timeout=30.0))
    permits = helper.daemon.keeper.permits
    wait_until(lambda: helper.in_loop(lambda: permits.closed), "it is being stopped")
    host.refuse(nic.address, "open", errno.EBUSY, times=1)
    gate.open()
    assert stopping.answer()["held"] == []
    helper.restart()
    helper.until(nic.address, engaged=Mode.ENTRY)


def test_a_declaration_that_is_lost_forgets_no_wakes(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry-with-wakeup"))
    host.touch_device(nic.address)
    helper.until(nic.address, state="waiting")
    helper.terminate()
    for name in os.listdir(helper.state):
        if name.startswith((DECLARED, DEVICES)):
            (helper.state / name).write_bytes(b"\x00")
    helper.start()
    helper.release(nic.address, "guest")
    helper.settle()
    assert os.listdir(helper.run / FOLDER) == [str(nic.address)]
    helper.restart()
    assert Records(str(helper.run)).load()[nic.address].wakes.foreign == 1
