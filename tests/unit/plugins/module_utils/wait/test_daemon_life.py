# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start and end of the helper, what it remembers, and what it refuses."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.boot import (
    first_start_in_this_boot,
    note_start,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.settings import (
    Settings,
    settings_from,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    HelperRefused,
    InputError,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode

from ..fake.host import FakeHost
from ..hold.helper import Asking, Helper, Tape, rule, wait_until


def test_what_was_declared_is_held_again_without_anybody_asking(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry-with-wakeup"))
    helper.boot()
    assert helper.client.call("GetStatus")["generation"] == 1
    helper.pass_time(60)
    assert helper.device(nic.address).engaged is Mode.ENTRY_WITH_WAKEUP


def test_nobody_is_answered_before_the_declaration_is_loaded(
    host: FakeHost, helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "none"))
    helper.stop()
    original = host.sysfs.devices

    def slowly():  # type: ignore[no-untyped-def]
        time.sleep(0.2)
        return original()

    monkeypatch.setattr(host.sysfs, "devices", slowly)
    helper.start()  # asks right away
    assert helper.client.call("List")["generation"] == 1


def test_stopping_lets_all_devices_go_side_by_side(host: FakeHost, helper: Helper) -> None:
    devices = [host.add(f"0000:{bus:02x}:00.0") for bus in range(2, 8)]
    helper.apply(*(rule(device.address, "entry") for device in devices))
    gates = [host.hold_up(device.address, "close") for device in devices]
    stopping = Asking(helper.stop)
    for gate in gates:
        assert gate.reached.wait(10)
    assert helper.device(devices[0].address).state == "letting-go"
    for gate in gates:
        gate.open()
    stopping.answer()
    for device in devices:
        assert device.vfio is not None
        assert device.vfio.opens == 0
        exits = [call.operation for call in host.calls if call.address == device.address]
        assert [it for it in exits if it != "node"][-2:] == ["exit", "close"]


def test_a_stop_waits_for_a_device_that_is_being_opened(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    gate = host.hold_up(nic.address, "open")
    Asking(lambda: helper.apply(rule(nic.address, "entry")))
    assert gate.reached.wait(10)
    stopping = Asking(helper.stop)
    gate.open()
    stopping.answer()
    assert nic.vfio is not None
    assert nic.vfio.opens == 0


def test_nothing_is_taken_any_more_while_the_helper_stops(host: FakeHost, helper: Helper) -> None:
    slow, later, asked = (host.add(f"0000:{bus:02x}:00.0") for bus in (2, 3, 4))
    helper.apply(rule(slow.address, "entry"), rule(later.address, "entry"))
    host.unbind(later.address)
    host.bind(later.address)
    helper.settle()
    helper.pass_time(30)
    gate = host.hold_up(slow.address, "close")
    stopping = Asking(helper.stop)
    assert gate.reached.wait(10)
    helper.clock.ahead += 50  # the rebind delay has passed, and the helper waits on
    helper.in_loop(lambda: None)
    wanted = [rule(it.address, "entry") for it in (slow, later, asked)]
    helper.applying(*wanted)
    wait_until(lambda: helper.client.call("GetStatus")["generation"] == 2, "it is declared")
    gate.open()
    stopping.answer()
    for device in (slow, later, asked):
        assert device.vfio is not None
        assert device.vfio.opens == 0


def test_a_device_that_does_not_close_holds_up_a_stop_for_a_minute_at_most(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    gate = host.hold_up(nic.address, "close")
    stopping = Asking(helper.stop)
    assert gate.reached.wait(10)
    helper.in_loop(lambda: None)

    def goes_on() -> bool:
        helper.clock.ahead += 60
        helper.daemon.loop.call_soon_threadsafe(lambda: None)
        return not stopping.waits

    wait_until(goes_on, "the helper ends without it")
    gate.open()
    stopping.answer()


def test_of_a_damaged_declaration_the_previous_generation_is_used_and_told(
    host: FakeHost, helper: Helper
) -> None:
    nic, other = host.add("0000:02:00.0"), host.add("0000:03:00.0")
    helper.apply(rule(nic.address, "entry"))
    helper.apply(rule(nic.address, "entry"), rule(other.address, "entry"))
    helper.stop()
    declared = helper.state / "declared.json"
    declared.write_text(declared.read_text()[:40])
    helper.start()
    for method in ("GetStatus", "List"):
        answer = helper.client.call(method)
        assert answer["generation"] == 1
        assert str(declared) in answer["damaged"]
        assert "previous generation" in answer["damaged"]
    helper.until(nic.address, engaged=Mode.ENTRY)
    assert other.address not in helper.devices()
    helper.apply(rule(nic.address, "entry"))
    assert helper.client.call("GetStatus")["damaged"] is None
    helper.restart()
    assert helper.client.call("GetStatus")["damaged"] is None


def test_a_helper_whose_disk_is_full_keeps_what_is_declared(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply({"name": "nics", "match": {"vendor": ["8086"]}, "mode": "entry"})
    helper.stop()
    new = host.add("0000:03:00.0")  # has to be remembered, and cannot be
    (helper.state / "devices.json.new").mkdir()
    helper.start()
    helper.until(nic.address, engaged=Mode.ENTRY)
    helper.until(new.address, engaged=Mode.ENTRY)
    damaged = helper.client.call("GetStatus")["damaged"]
    assert f"cannot be stored: {helper.state}/devices.json.new: " in damaged
    (helper.state / "devices.json.new").rmdir()


def test_a_declaration_that_cannot_be_stored_is_refused_and_not_applied(
    host: FakeHost, helper: Helper, unexpected: list[BaseException]
) -> None:
    nic = host.add("0000:02:00.0")
    helper.state.mkdir(exist_ok=True)
    (helper.state / "declared.json.new").mkdir()
    with pytest.raises(HelperRefused, match="not stored") as refused:
        helper.apply(rule(nic.address, "entry"))
    assert f"{helper.state}/declared.json.new: " in refused.value.message
    assert refused.value.hint
    assert not host.calls
    assert helper.client.call("GetStatus")["generation"] == 0
    (helper.state / "declared.json.new").rmdir()
    unexpected.clear()
    assert helper.apply(rule(nic.address, "entry")).devices[nic.address].held


def test_a_run_that_read_an_older_declaration_is_refused(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    calls = list(host.calls)
    parameters = {"rules": [], "exclude": [], "expected_generation": 0}
    with pytest.raises(HelperRefused) as refused:
        helper.client.call("Apply", parameters)
    assert refused.value.name == "GenerationMismatch"
    assert refused.value.parameters == {"expected": 0, "actual": 1}
    assert host.calls == calls
    assert helper.device(nic.address).held


def test_every_problem_of_an_input_is_named_and_nothing_is_changed(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    calls, stored = list(host.calls), _content(helper.state)
    rules = [
        rule(nic.address, "deep-sleep"),
        {"name": "yaml", "address": 2460.0, "mode": "entry"},
        {"name": "empty", "match": {}, "mode": "entry"},
    ]
    parameters = {"rules": rules, "exclude": [], "expected_generation": 1}
    with pytest.raises(HelperRefused) as refused:
        helper.client.call("Apply", parameters)
    assert refused.value.name == "InputRefused"
    assert len(refused.value.parameters["problems"]) == 3
    for word in ("deep-sleep", "2460.0", "match"):
        assert word in refused.value.message
    assert host.calls == calls
    assert _content(helper.state) == stored
    assert helper.device(nic.address).engaged is Mode.ENTRY


def test_status_says_which_program_answers(helper: Helper) -> None:
    status = helper.client.call("GetStatus")
    assert status["api_revision"] == 1
    assert status["version"]
    assert status["workers"] == 16
    assert status["damaged"] is None


@pytest.fixture
def manager(helper: Helper) -> Iterator[socket.socket]:
    """The service manager, which watches a helper that is started again."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(helper.run / "notify"))
        listening.settimeout(10)
        watched = {"NOTIFY_SOCKET": str(helper.run / "notify"), "WATCHDOG_USEC": "30000000"}
        helper.environ.update(watched)
        helper.restart()
        yield listening


def test_a_loop_that_turns_says_so_in_half_the_time_that_is_left(
    helper: Helper, manager: socket.socket
) -> None:
    assert manager.recv(100) == b"WATCHDOG=1"
    assert manager.recv(100).startswith(b"READY=1")
    for _time in range(2):
        helper.pass_time(15)
        assert manager.recv(100) == b"WATCHDOG=1"


def test_a_loop_that_hangs_says_nothing_whatever_its_workers_do(
    host: FakeHost, helper: Helper, manager: socket.socket
) -> None:
    nic = host.add("0000:02:00.0")
    gate = host.hold_up(nic.address, "open")
    Asking(lambda: helper.apply(rule(nic.address, "entry")))
    assert gate.reached.wait(10)
    hangs, goes_on = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        assert goes_on.wait(10)

    helper.daemon.loop.call_soon_threadsafe(hang)
    assert hangs.wait(10)
    while select.select([manager], [], [], 0)[0]:
        manager.recv(100)
    helper.clock.ahead += 20
    gate.open()
    wait_until(lambda: bool(nic.vfio and nic.vfio.opens), "the worker has opened it")
    assert select.select([manager], [], [], 0)[0] == []
    goes_on.set()
    assert manager.recv(100) == b"WATCHDOG=1"


def test_in_its_sandbox_the_helper_is_told_which_boot_this_is(helper: Helper) -> None:
    from_the_kernel = helper.client.call("GetStatus")["boot_id"]
    assert len(from_the_kernel) == 32
    helper.environ["BOOT_ID"] = from_the_kernel
    helper.restart()
    assert helper.client.call("GetStatus")["boot_id"] == from_the_kernel
    helper.environ["BOOT_ID"] = "another"
    helper.restart()
    assert helper.client.call("GetStatus")["boot_id"] == "another"


def test_a_monitor_sees_first_how_things_stand_and_then_each_step(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "none"))
    tape = Tape(helper)
    (standing,) = tape.told[0]["devices"]
    assert (tape.told[0]["event"], standing["address"]) == ("snapshot", str(nic.address))
    helper.apply(rule(nic.address, "entry"))
    helper.release(nic.address, "guest")
    helper.reclaim(nic.address, "guest")
    wait_until(lambda: tape.events().count("entered") == 2, "it is entered again")
    assert tape.events(nic.address) == [
        *("taking", "taken", "entering", "entered"),
        *("leased", "letting-go", "released", "lease-ended"),
        *("taking", "taken", "entering", "entered"),
    ]
    last = tape.told[-1]
    assert last["device"]["engaged"] == "entry"


def test_a_monitor_has_to_ask_for_more(helper: Helper) -> None:
    with pytest.raises(HelperRefused) as refused:
        helper.client.call("Monitor")
    assert refused.value.name == "ExpectedMore"


def test_the_mark_of_a_start_is_left_once(tmp_path: Path) -> None:
    assert first_start_in_this_boot(str(tmp_path))
    for _start in range(2):
        note_start(str(tmp_path))
        assert not first_start_in_this_boot(str(tmp_path))


def test_a_mark_that_cannot_be_left_counts_as_the_first_start_of_the_boot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "nowhere"  # stands for a file system that takes no more files
    for _start in range(2):
        note_start(str(nowhere))
        assert first_start_in_this_boot(str(nowhere))
    assert f"<3>{nowhere}/started: No such file" in capsys.readouterr().err


def test_the_mark_of_a_start_needs_no_room(tmp_path: Path) -> None:
    note_start(str(tmp_path))
    assert (tmp_path / "started").stat().st_size == 0


def test_the_units_environment_sets_graces_and_workers() -> None:
    assert settings_from({}) == Settings(60.0, 60.0, 30.0, 16)
    environ = {"VFIO_POWER_BOOT_GRACE": "0", "VFIO_POWER_WORKERS": "4"}
    assert settings_from(environ) == Settings(0.0, 60.0, 30.0, 4)


@pytest.mark.parametrize("workers", ["0", "-1", "many", ""])
def test_a_helper_without_a_worker_is_refused(workers: str) -> None:
    with pytest.raises(InputError, match=r"VFIO_POWER_WORKERS: .* is not a whole number of at"):
        settings_from({"VFIO_POWER_WORKERS": workers})


@pytest.mark.parametrize("given", ["vfio.prom", "/var/lib/x", "metrics/vfio.prom"])
def test_a_path_that_no_collector_would_read_is_refused(given: str) -> None:
    with pytest.raises(InputError, match=r"VFIO_POWER_METRICS_PATH: .* ends in \.prom"):
        settings_from({"VFIO_POWER_METRICS_PATH": given})


def test_times_that_are_none_are_refused_all_at_once() -> None:
    environ = {"VFIO_POWER_BOOT_GRACE": "-1", "VFIO_POWER_QUIET_TIME": "nan"}
    with pytest.raises(InputError, match="'-1' is not a number of seconds from 0") as refused:
        settings_from(environ)
    assert [problem.place for problem in refused.value.problems] == list(environ)


@pytest.mark.parametrize("timeout", [0, -20, 1e12])
def test_a_timeout_that_is_none_is_refused_and_not_taken_for_the_default(
    helper: Helper, timeout: float
) -> None:
    parameters = {"rules": [], "exclude": [], "expected_generation": 0, "timeout": timeout}
    with pytest.raises(HelperRefused, match=r"parameters\.timeout: .* seconds from 0\.1 to 86400"):
        helper.client.call("Apply", parameters)


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
