# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device that killed the host, or did not come back, is not taken again until it is cleared."""

from __future__ import annotations

import errno
import threading
from collections.abc import Collection, Iterable
from types import SimpleNamespace
from typing import Callable, Optional

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold.marks import (
    LIVED_ON,
    Marks,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch import sealed
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.distrust import (
    Distrusted,
    DistrustFile,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.files import Folder
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait import daemon
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    HelperRefused,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import Identity
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    HoldReport,
    Quarantined,
)

from ..fake.host import FakeDevice, FakeHost
from ..hold.helper import Asking, Helper, Tape, rule, wait_until

DELAY = 5.0
GRACE = 60.0
ANOTHER = Identity("10de", "2204", "10de", "1467", "030000")


def marks(helper: Helper) -> list[str]:
    folder = helper.state / "marks"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def clear(helper: Helper, *devices: FakeDevice) -> dict[PciAddress, HoldReport]:
    helper.client.call("Clear", {"addresses": [str(it.address) for it in devices]})
    return helper.devices()


def is_held(device: FakeDevice) -> bool:
    return device.vfio is not None and device.vfio.opens > 0


def quarantined(helper: Helper, device: FakeDevice) -> Quarantined:
    report = helper.devices()[device.address]
    assert report.quarantined is not None, f"{device.address} is trusted"
    return report.quarantined


@pytest.fixture
def nic(host: FakeHost) -> FakeDevice:
    return host.add("0000:02:00.0")


@pytest.fixture
def disk(host: FakeHost) -> FakeDevice:
    return host.add("0000:03:00.0")


def test_the_mark_is_there_before_the_device_sleeps_for_the_first_time(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    gate = host.hold_up(nic.address, "entry")
    helper.applying(rule(nic.address, "entry"))
    assert gate.reached.wait(10)
    assert marks(helper) == [str(nic.address)]
    gate.open()
    helper.until(nic.address, engaged=Mode.ENTRY)


@pytest.mark.parametrize("mode", ["entry", "entry-with-wakeup"])
def test_a_host_that_died_with_an_armed_device_leaves_that_device_alone(
    host: FakeHost,
    helper: Helper,
    nic: FakeDevice,
    mode: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    helper.apply(rule(nic.address, mode))
    helper.die()
    calls = len(host.calls)
    helper.start()
    helper.pass_time(GRACE)
    why = quarantined(helper, nic)
    assert why.code == "quarantined"
    assert f"{nic.address}: the host died while this device was armed" in why.message
    assert f"<4>{why.message}; it is not taken again" in capsys.readouterr().err
    assert helper.apply(rule(nic.address, mode)).actions[nic.address] == ()
    assert host.calls[calls:] == []
    assert marks(helper) == []


def test_a_device_that_was_held_awake_is_taken_again_after_the_host_died(
    helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "none", reserve=True))
    helper.die()
    helper.start()
    helper.pass_time(GRACE)
    assert is_held(nic)


def test_a_helper_that_dies_is_no_host_that_died(helper: Helper, nic: FakeDevice) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.kill()
    assert marks(helper) == [str(nic.address)]
    helper.start()
    helper.settle()
    assert helper.device(nic.address).engaged is Mode.ENTRY
    assert helper.device(nic.address).quarantined is None


def test_a_stop_in_good_order_takes_the_marks_away(helper: Helper, nic: FakeDevice) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.stop()
    assert marks(helper) == []
    helper.next_boot()
    helper.start()
    helper.pass_time(GRACE)
    assert helper.device(nic.address).engaged is Mode.ENTRY


def test_a_device_that_slept_and_came_back_is_marked_no_more_in_this_boot(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry-with-wakeup"))
    host.touch_device(nic.address)
    helper.until(nic.address, state="waiting")
    assert marks(helper) == [str(nic.address)]
    helper.pass_time(DELAY)
    helper.until(nic.address, engaged=Mode.ENTRY_WITH_WAKEUP)
    assert marks(helper) == []
    helper.restart()
    host.touch_device(nic.address)
    helper.until(nic.address, state="waiting")
    helper.pass_time(DELAY)
    helper.until(nic.address, engaged=Mode.ENTRY_WITH_WAKEUP)
    assert marks(helper) == []


def test_a_device_that_never_slept_stays_marked_when_low_power_ends(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    host.write_control(nic.address, "on")
    helper.apply(rule(nic.address, "entry"))
    helper.apply(rule(nic.address, "none", reserve=True))
    assert marks(helper) == [str(nic.address)]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_host_that_lived_on_for_ten_minutes_was_not_killed(
    helper: Helper, nic: FakeDevice, restarted: bool
) -> None:
    helper.apply(rule(nic.address, "entry"))
    if restarted:
        helper.restart()
    helper.pass_time(LIVED_ON - 1)
    assert marks(helper) == [str(nic.address)]
    helper.pass_time(1)
    assert marks(helper) == []
    helper.die()
    helper.start()
    helper.pass_time(GRACE)
    assert helper.device(nic.address).engaged is Mode.ENTRY


def test_the_ten_minutes_of_a_card_are_not_those_of_the_next_one_at_its_address(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    everything = {"name": "all", "match": {"driver": ["vfio-pci"]}, "mode": "entry"}
    helper.apply(everything)
    helper.pass_time(LIVED_ON - 1)
    helper.apply(exclude=[{"address": str(nic.address)}])
    host.unplug(nic.address)
    another = host.add(
        str(nic.address), identity=Identity("8086", "1533", "8086", "0001", "020000")
    )
    helper.settle()
    assert helper.apply(everything).devices[another.address].engaged is Mode.ENTRY
    helper.pass_time(1)
    assert marks(helper) == [str(another.address)]
    helper.pass_time(LIVED_ON - 2)
    assert marks(helper) == [str(another.address)]
    helper.pass_time(1)
    assert marks(helper) == []


def test_without_room_for_a_mark_a_device_stays_awake_and_can_be_let_go(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.state.mkdir(exist_ok=True)
    (helper.state / "marks").write_text("in the way")
    report = helper.apply(rule(nic.address, "entry")).devices[nic.address]
    assert report.failure is not None
    assert "stays awake" in report.failure.message
    assert "entry" not in [call.operation for call in host.calls]
    helper.release(nic.address, "guest")
    (helper.state / "marks").unlink()


@pytest.mark.parametrize("content", ["", "{", '{"format": 1}'])
def test_a_damaged_mark_counts_as_one_of_another_boot(
    helper: Helper, nic: FakeDevice, content: str
) -> None:
    helper.apply(rule(nic.address, "entry"))
    (helper.state / "marks" / str(nic.address)).write_text(content)
    helper.die()
    helper.start()
    assert quarantined(helper, nic).code == "quarantined"


def test_another_device_at_the_address_is_not_meant(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply({"name": "all", "match": {"driver": ["vfio-pci"]}, "mode": "entry"})
    helper.die()
    host.unplug(nic.address)
    another = host.add(str(nic.address), identity=ANOTHER)
    helper.start()
    helper.apply({"name": "all", "match": {"driver": ["vfio-pci"]}, "mode": "entry"})
    assert helper.device(another.address).quarantined is None


def test_clear_takes_the_device_as_converging_would(
    helper: Helper, nic: FakeDevice, disk: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry"), rule(disk.address, "entry"))
    helper.die()
    helper.start()
    reports = clear(helper, nic)
    assert reports[nic.address].engaged is Mode.ENTRY
    assert reports[nic.address].quarantined is None
    assert not reports[disk.address].held
    helper.restart()
    assert helper.device(nic.address).quarantined is None
    quarantined(helper, disk)


def test_a_clear_that_cannot_be_stored_is_refused(
    helper: Helper, nic: FakeDevice, unexpected: list[BaseException]
) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.die()
    helper.start()
    (helper.state / "quarantine.json.new").mkdir()
    with pytest.raises(HelperRefused, match="not stored"):
        clear(helper, nic)
    assert quarantined(helper, nic)
    assert not is_held(nic)
    (helper.state / "quarantine.json.new").rmdir()
    unexpected.clear()


def test_clear_takes_nothing_that_was_not_in_quarantine(helper: Helper, nic: FakeDevice) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.boot()
    assert not clear(helper, nic)[nic.address].held  # its boot grace goes on


def test_an_error_while_it_is_let_go_is_not_missed(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    """When nobody watches for it any more: that is when a device comes back from its sleep."""
    helper.apply(rule(nic.address, "entry"))
    gate = host.hold_up(nic.address, "exit")
    released: list[HoldReport] = []
    asking = threading.Thread(
        target=lambda: released.append(helper.release(nic.address, "guest")[nic.address])
    )
    asking.start()
    assert gate.reached.wait(10)
    host.report_error(nic.address)
    gate.open()
    asking.join(20)
    (report,) = released
    assert (report.held, quarantined(helper, nic).code) == (False, "quarantined")
    assert report.failure is not None
    assert report.failure.of_letting_go, "who gets it is told"
    helper.reclaim(nic.address, "guest")
    assert not helper.device(nic.address).held


def test_a_device_that_the_recovery_of_its_neighbour_wakes_is_counted_and_goes_back(
    host: FakeHost, helper: Helper
) -> None:
    port = host.add_port("0000:00:1c.0")
    failing = host.add("0000:41:00.0", port=port, depth="D3hot")
    beside = host.add("0000:41:00.1", port=port, depth="D3hot")
    slow = {"reentry": {"delay": 30.0}}
    modes = [rule(it.address, "entry-with-wakeup", **slow) for it in (failing, beside)]
    helper.apply(*modes)
    helper.until(beside.address, engaged="entry-with-wakeup")
    host.report_error(failing.address)
    helper.until(failing.address, held=False)
    woken = helper.until(beside.address, engaged="none")
    assert (woken.held, woken.wakes.total) == (True, 1)
    helper.pass_time(31)
    assert helper.until(beside.address, engaged="entry-with-wakeup").wakes.total == 1
    assert quarantined(helper, failing).code == "quarantined"


def test_a_device_that_is_lent_stays_lent_when_it_is_cleared(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry"))
    host.report_error(nic.address)
    helper.until(nic.address, held=False)
    helper.release(nic.address, "guest")
    assert not clear(helper, nic)[nic.address].held


def test_clear_names_what_is_wrong_with_an_address(helper: Helper) -> None:
    with pytest.raises(HelperRefused) as refused:
        helper.client.call("Clear", {"addresses": ["first"]})
    assert refused.value.name == "InputRefused"


def fails(host: FakeHost, device: FakeDevice) -> None:
    host.report_error(device.address)


def is_lost_when_it_wakes(host: FakeHost, device: FakeDevice) -> None:
    host.lose(device.address)
    host.touch_device(device.address)


@pytest.mark.parametrize("mode", ["entry", "entry-with-wakeup"])
def test_a_device_that_a_stranger_woke_in_vain_is_found_with_the_next_signs_of_life(
    host: FakeHost,
    helper: Helper,
    nic: FakeDevice,
    disk: FakeDevice,
    mode: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    helper.terminate()
    helper.environ["WATCHDOG_USEC"] = "30000000"
    helper.start()
    slow = {"reentry": {"delay": 3600.0}} if mode == "entry-with-wakeup" else {}
    helper.apply(rule(nic.address, mode, **slow), rule(disk.address, "entry"))
    with host.changed:
        nic.function.get()  # the stranger keeps it awake
    host.lose(nic.address)
    helper.pass_time(15)
    assert helper.device(nic.address).quarantined is None, "once may be on its way"
    helper.pass_time(15)
    helper.until(nic.address, held=False)
    assert quarantined(helper, nic).code == "power-error"
    assert "when something else woke it" in capsys.readouterr().err
    assert helper.device(disk.address).engaged is Mode.ENTRY
    with host.changed:
        nic.function.put()


TROUBLE = {"quarantined": fails, "power-error": is_lost_when_it_wakes}


@pytest.mark.parametrize("code", TROUBLE)
def test_trouble_with_one_device_leaves_the_others_alone(
    host: FakeHost, helper: Helper, nic: FakeDevice, disk: FakeDevice, code: str
) -> None:
    wanted = [rule(it.address, "entry-with-wakeup") for it in (nic, disk)]
    helper.apply(*wanted)
    tape = Tape(helper)
    calls = [call for call in host.calls if call.address == disk.address]
    trouble: Callable[[FakeHost, FakeDevice], None] = TROUBLE[code]
    trouble(host, nic)
    wait_until(lambda: bool(tape.events(nic.address)), "the helper hears of it")
    helper.pass_time(DELAY)
    helper.until(nic.address, held=False)
    assert quarantined(helper, nic).code == code
    wait_until(lambda: tape.has("quarantined", nic.address), "it is told")
    assert tape.events(disk.address) == []
    assert [call for call in host.calls if call.address == disk.address] == calls
    host.guest(nic.address).stop()


@pytest.mark.parametrize("code", TROUBLE)
@pytest.mark.parametrize("again", ["restart", "boot"])
def test_a_quarantine_outlives_helper_and_boot(
    host: FakeHost, helper: Helper, nic: FakeDevice, code: str, again: str
) -> None:
    helper.apply(rule(nic.address, "entry-with-wakeup"))
    TROUBLE[code](host, nic)
    if code == "power-error":
        helper.until(nic.address, state="waiting")
    helper.pass_time(DELAY)
    helper.until(nic.address, held=False)
    before = quarantined(helper, nic)
    calls = len(host.calls)
    getattr(helper, again)()
    helper.pass_time(GRACE)
    helper.apply(rule(nic.address, "entry-with-wakeup"))
    assert quarantined(helper, nic) == before
    assert len(host.calls) == calls


def test_an_error_while_nobody_was_there_is_heard_by_the_next_helper(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.kill()
    host.report_error(nic.address)
    helper.start()
    helper.until(nic.address, held=False)
    assert "uncorrectable error" in quarantined(helper, nic).message


def test_an_error_counts_even_when_nobody_knows_what_is_declared(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.kill()
    for name in ("declared.json", "declared.json.previous"):
        (helper.state / name).write_text("{")
    helper.start()
    host.report_error(nic.address)
    helper.until(nic.address, held=False)


def test_a_device_that_failed_and_then_did_not_come_back_is_a_power_error(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry"))
    host.lose(nic.address)
    host.report_error(nic.address)
    helper.until(nic.address, held=False)
    helper.settle()
    assert quarantined(helper, nic).code == "power-error"


def test_a_device_that_is_lost_when_it_is_opened_is_not_kept(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    host.lose(nic.address)
    report = helper.apply(rule(nic.address, "entry")).devices[nic.address]
    assert not report.held
    why = quarantined(helper, nic)
    assert why.code == "power-error"
    assert "D3cold" in why.message
    assert not is_held(nic)


@pytest.mark.parametrize("wanted", ["none", "reserve"])
def test_a_device_that_answers_all_ones_is_lost(
    host: FakeHost, helper: Helper, nic: FakeDevice, wanted: str
) -> None:
    helper.apply(rule(nic.address, "entry"))
    host.fall_silent(nic.address)
    helper.apply(rule(nic.address, "none", reserve=wanted == "reserve"))
    assert not is_held(nic)
    why = quarantined(helper, nic)
    assert why.code == "power-error"
    assert "all ones" in why.message


def test_a_device_that_a_guest_broke_is_the_guests_business(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    guest = host.guest(nic.address)
    host.lose(nic.address)
    report = helper.apply(rule(nic.address, "entry")).devices[nic.address]
    assert report.failure is not None
    assert report.failure.code == "busy"
    assert report.quarantined is None
    guest.stop()


def test_a_damaged_quarantine_is_told(
    host: FakeHost, helper: Helper, nic: FakeDevice, capsys: pytest.CaptureFixture[str]
) -> None:
    helper.apply(rule(nic.address, "entry"))
    host.report_error(nic.address)
    helper.until(nic.address, held=False)
    helper.stop()
    (helper.state / "quarantine.json").write_text("{")
    helper.start()
    assert f"<4>{helper.state}/quarantine.json " in capsys.readouterr().err
    assert "quarantine.json" in helper.client.call("GetStatus")["damaged"]
    assert "quarantine.json" in helper.client.call("List")["damaged"]
    helper.apply(rule(nic.address, "entry"))
    helper.settle()
    assert helper.client.call("GetStatus")["damaged"] is None


@pytest.mark.parametrize("name", ["quarantine.json", "declared.json"])
def test_a_file_that_root_may_not_read_is_damaged_and_moves_no_device(
    helper: Helper, nic: FakeDevice, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.kill()
    read = Folder.read

    def refused(folder: Folder, wanted: str) -> Optional[bytes]:
        if wanted.startswith(name):
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(folder, wanted)

    monkeypatch.setattr(Folder, "read", refused)
    monkeypatch.setattr(sealed, "os", SimpleNamespace(geteuid=lambda: 0))
    helper.start()
    helper.settle()
    assert f"{name} cannot be read" in helper.client.call("GetStatus")["damaged"]
    assert helper.device(nic.address).engaged is Mode.ENTRY


def test_marks_that_cannot_be_listed_are_told(helper: Helper, nic: FakeDevice) -> None:
    helper.apply(rule(nic.address, "none", reserve=True))
    helper.kill()
    (helper.state / "marks").write_text("in the way")
    helper.start()
    assert is_held(nic)
    assert f"{helper.state}/marks cannot be listed" in helper.client.call("GetStatus")["damaged"]
    (helper.state / "marks").unlink()


def test_a_quarantine_that_cannot_be_written_down_is_in_force_all_the_same(
    host: FakeHost,
    helper: Helper,
    nic: FakeDevice,
    capsys: pytest.CaptureFixture[str],
    unexpected: list[BaseException],
) -> None:
    helper.apply(rule(nic.address, "entry"))
    (helper.state / "quarantine.json.new").mkdir()
    host.report_error(nic.address)
    helper.until(nic.address, held=False)
    helper.settle()
    quarantined(helper, nic)
    assert "quarantine.json" in capsys.readouterr().err
    (helper.state / "quarantine.json.new").rmdir()
    unexpected.clear()


class SlowDisk:
    """Holds up what is written of the quarantine; ``done`` tells in which order things ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.ready = threading.Event(), threading.Event()
        self.done: list[str] = []
        save, wipe = DistrustFile.save, Marks.wipe

        def saved(file: DistrustFile, devices: Iterable[Distrusted]) -> None:
            self.begun.set()
            assert self.ready.wait(10)
            save(file, devices)
            self.done.append("saved")

        def wiped(marks: Marks, besides: Collection[PciAddress]) -> None:
            wipe(marks, besides)
            self.done.append("wiped")

        monkeypatch.setattr(DistrustFile, "save", saved)
        monkeypatch.setattr(Marks, "wipe", wiped)


@pytest.mark.parametrize("end", ["restart", "boot"])
def test_devices_that_fail_in_the_same_moment_are_all_known_to_the_next_helper(
    host: FakeHost, helper: Helper, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    devices = [host.add(f"0000:{bus:02x}:00.0") for bus in range(2, 10)]
    helper.apply(*(rule(it.address, "entry") for it in devices))
    disk = SlowDisk(monkeypatch)
    for device in devices:
        host.report_error(device.address)
        assert disk.begun.wait(10)  # the others come while the first one is written down
    for device in devices:
        helper.until(device.address, held=False)
    ending = Asking(helper.terminate if end == "restart" else helper.stop)
    keeper = helper.daemon.keeper
    wait_until(lambda: helper.in_loop(lambda: keeper.resting or keeper.permits.closed), "it ends")
    disk.ready.set()
    ending.answer()
    assert disk.done == ["saved", "saved", "wiped"][: 2 if end == "restart" else 3]
    if end == "boot":
        helper.next_boot()
    helper.start()
    for device in devices:
        assert quarantined(helper, device)


def test_a_helper_ends_though_the_disk_does_not_answer(
    host: FakeHost, helper: Helper, nic: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "WRITTEN_WITHIN", 0.05)
    helper.apply(rule(nic.address, "entry"))
    disk = SlowDisk(monkeypatch)
    host.report_error(nic.address)
    helper.until(nic.address, held=False)
    helper.terminate()
    disk.ready.set()
    wait_until(lambda: disk.done, "the thread that it left behind ends")
