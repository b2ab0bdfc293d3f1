# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests come first: requests, binds, graces and leases."""

from __future__ import annotations

import time
from unittest.mock import patch

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold import grips
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.leases import Leases
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait import service
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.around import Around
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    HelperRefused,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import Identity
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import Lease

from ..fake.host import FakeDevice, FakeHost
from ..hold.helper import Asking, Helper, Tape, rule, wait_until

GRACE, REBIND, QUIET = 60.0, 60.0, 30.0  # the defaults


def holders(helper: Helper, device: FakeDevice) -> list[str]:
    """Return who has a lease of a device."""
    report = helper.devices().get(device.address)
    return [lease.holder for lease in report.leases] if report else []


def is_held(helper: Helper, device: FakeDevice) -> bool:
    report = helper.devices().get(device.address)
    return report is not None and report.held


# Requests of the kernel, binds and plugs.


def test_an_unbind_gets_the_device_at_once(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry-with-wakeup"))
    tape = Tape(helper)
    before = time.monotonic()
    host.unbind(nic.address)
    assert time.monotonic() - before < 1
    wait_until(lambda: tape.has("unbound", nic.address), "the unbind is told")
    assert "requested" in tape.events(nic.address)
    helper.settle()
    assert not is_held(helper, nic)


def test_of_binds_and_unbinds_only_those_are_told_that_concern_us(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0", driver="e1000e")
    parked = host.add("0000:03:00.0")
    others = host.add("0000:04:00.0", driver="nvme")
    helper.apply(rule(nic.address, "entry"))
    tape = Tape(helper)
    for device in (others, parked, nic):
        host.unbind(device.address)
    host.bind(nic.address)
    wait_until(lambda: tape.has("bound", nic.address), "the bind is told")
    told = [(it["event"], it["address"], it["detail"]) for it in tape.told[1:]]
    assert told == [
        ("unbound", str(parked.address), "vfio-pci"),
        ("unbound", str(nic.address), "e1000e"),
        ("bound", str(nic.address), "vfio-pci"),
    ]


def test_a_request_for_one_function_lets_its_whole_unit_go(host: FakeHost, helper: Helper) -> None:
    gpu = host.add("0000:02:00.0", group=9)
    audio = host.add("0000:02:00.1", group=9)
    other = host.add("0000:03:00.0")
    helper.apply(*(rule(it.address, "entry") for it in (gpu, audio, other)))
    host.unbind(gpu.address)
    helper.until(audio.address, state="released")
    assert helper.device(other.address).held


def test_functions_that_can_only_be_reset_together_go_together(
    host: FakeHost, helper: Helper
) -> None:
    port = host.add_port("0000:00:1c.0")
    first = host.add("0000:02:00.0", port=port, resets=("bus",))
    second = host.add("0000:02:00.1", port=port, resets=("bus",))
    helper.apply(rule(first.address, "entry"), rule(second.address, "entry"))
    host.unbind(first.address)
    helper.until(second.address, state="released")


def test_a_device_that_was_bound_again_is_taken_after_the_rebind_delay(
    host: FakeHost, helper: Helper
) -> None:
    gpu = host.add("0000:02:00.0", group=9)
    audio = host.add("0000:02:00.1", group=9)
    helper.apply(rule(gpu.address, "entry"), rule(audio.address, "entry"))
    host.unbind(gpu.address)
    host.bind(gpu.address)
    helper.settle()
    due = helper.device(gpu.address).taken_after
    assert due is not None
    assert due == pytest.approx(time.time() + REBIND, abs=5)
    helper.pass_time(REBIND - 10)
    assert not is_held(helper, gpu)
    helper.pass_time(10)
    assert helper.device(gpu.address).engaged is Mode.ENTRY
    assert helper.device(audio.address).engaged is Mode.ENTRY


def test_a_device_is_taken_again_after_an_undeclared_one_of_its_unit_was_bound(
    host: FakeHost, helper: Helper
) -> None:
    port = host.add_port("0000:00:1c.0")
    gpu = host.add("0000:02:00.0", port=port, resets=("bus",))
    audio = host.add("0000:02:00.1", port=port, resets=("bus",), driver="snd_hda_intel")
    helper.apply(rule(gpu.address, "entry"))
    host.unbind(audio.address)  # as driverctl set-override does
    helper.until(gpu.address, state="released")
    host.bind(audio.address)
    helper.settle()
    helper.pass_time(REBIND)
    assert helper.device(gpu.address).engaged is Mode.ENTRY


def test_a_device_that_is_bound_only_after_it_was_declared_waits_too(
    host: FakeHost, helper: Helper
) -> None:
    """Its guest is often the reason why it was bound."""
    nic = host.add("0000:02:00.0", driver=None)
    helper.apply(rule(nic.address, "entry"))
    helper.settle()
    host.bind(nic.address)
    helper.settle()
    assert not is_held(helper, nic)
    helper.pass_time(REBIND)
    assert helper.device(nic.address).engaged is Mode.ENTRY


def test_a_bind_is_noticed_though_the_kernels_message_was_lost(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0", driver=None)
    helper.apply(rule(nic.address, "entry"))
    helper.settle()
    helper.uevents.overflow()
    host.bind(nic.address)
    helper.settle()
    assert not is_held(helper, nic)
    helper.pass_time(REBIND)
    assert is_held(helper, nic)


def test_a_bind_while_the_bus_is_being_read_is_not_missed(
    host: FakeHost, helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    nic = host.add("0000:02:00.0", driver=None)
    helper.apply(rule(nic.address, "entry"))
    helper.settle()
    original = host.sysfs.devices
    looks: list[int] = []

    def devices():  # type: ignore[no-untyped-def]
        found = original()
        looks.append(len(found))
        if len(looks) == 1:
            host.bind(nic.address)  # after this look has passed the device
            helper.in_loop(lambda: None)
        return found

    monkeypatch.setattr(host.sysfs, "devices", devices)
    helper.in_loop(helper.daemon.steward.look_soon)
    helper.settle()
    helper.pass_time(REBIND)
    assert is_held(helper, nic)


def test_a_storm_of_messages_costs_a_handful_of_looks(
    host: FakeHost, helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [host.add(f"0000:{bus:02x}:00.0", driver=None) for bus in range(2, 10)]
    helper.settle()
    original = host.sysfs.devices
    looks: list[int] = []

    def counted():  # type: ignore[no-untyped-def]
        looks.append(1)
        return original()

    monkeypatch.setattr(host.sysfs, "devices", counted)
    before = time.monotonic()
    for _round in range(5):
        for device in devices:
            host.bind(device.address)
            host.unbind(device.address)
    took = time.monotonic() - before
    helper.settle()
    assert len(looks) <= took / 0.1 + 3


def test_a_device_that_is_unplugged_is_let_go_and_taken_when_it_comes_back(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    host.unplug(nic.address)
    helper.settle()
    report = helper.device(nic.address)
    assert (report.held, report.failure) == (False, None)
    nic = host.add("0000:02:00.0")
    helper.settle()
    helper.pass_time(REBIND)
    assert helper.device(nic.address).engaged is Mode.ENTRY


def test_another_card_in_the_slot_is_not_taken(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    host.unplug(nic.address)
    host.add("0000:02:00.0", identity=nic.identity._replace(device="1533"))
    calls = list(host.calls)
    helper.settle()
    helper.pass_time(REBIND)
    helper.apply(rule(nic.address, "entry"))
    assert host.calls == calls
    assert not is_held(helper, nic)


# Graces.


def test_the_first_start_in_a_boot_gives_guests_time(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    helper.boot()
    helper.settle()
    report = helper.device(nic.address)
    assert not report.held
    assert report.taken_after == pytest.approx(time.time() + GRACE, abs=5)
    helper.pass_time(GRACE - 10)
    assert not is_held(helper, nic)
    helper.pass_time(10)
    assert helper.device(nic.address).engaged is Mode.ENTRY


def test_a_guest_that_starts_first_keeps_its_device(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    helper.boot()
    guest = host.guest(nic.address)
    helper.pass_time(GRACE)
    failure = helper.device(nic.address).failure
    assert failure is not None
    assert failure.code == "busy"
    guest.stop()


def test_a_restart_in_the_same_boot_takes_its_devices_at_once(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    helper.restart()
    helper.until(nic.address, engaged=Mode.ENTRY)


def test_a_run_does_not_wait_for_a_grace(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    helper.boot()
    applied = helper.apply(rule(nic.address, "entry"))
    assert applied.actions[nic.address] == ("open", "entry")


# Leases.


def test_everything_is_given_to_one_holder(host: FakeHost, helper: Helper) -> None:
    held, looked_at, other = (host.add(f"0000:{bus:02x}:00.0") for bus in (2, 3, 4))
    helper.apply(rule(held.address, "entry"), rule(looked_at.address, "none"))
    parameters = {"addresses": [], "all": True, "holder": "maintenance"}
    helper.client.call("Release", parameters)
    reports = helper.devices()
    assert list(reports) == [held.address, looked_at.address]
    for report in reports.values():
        assert not report.held
        assert [lease.holder for lease in report.leases] == ["maintenance"]
    host.guest(held.address).stop()
    assert other.address not in reports


def test_a_released_device_is_free_when_release_answers(host: FakeHost, helper: Helper) -> None:
    gpu = host.add("0000:02:00.0", group=9)
    audio = host.add("0000:02:00.1", group=9)
    helper.apply(rule(gpu.address, "entry"), rule(audio.address, "entry-with-wakeup"))
    released = helper.release(gpu.address, "libvirt:web")
    assert set(released) == {gpu.address, audio.address}
    assert not any(report.held for report in released.values())
    host.guest(gpu.address).stop()
    host.guest(audio.address).stop()


def test_a_release_tells_of_a_device_that_did_not_come_back(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    nic.function.broken = True
    failure = helper.release(nic.address, "guest")[nic.address].failure
    assert failure is not None
    assert failure.of_letting_go
    assert holders(helper, nic) == ["guest"]
    again = helper.release(nic.address, "guest")[nic.address]
    assert again.failure == failure


def test_a_release_tells_of_a_group_that_the_kernel_still_holds(
    host: FakeHost, helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    nic = host.add("0000:02:00.0")
    monkeypatch.setattr(grips, "FREE_WITHIN", 0.0)
    with patch.object(helper.store, "forget", lambda _names: None):  # copies stay open
        helper.apply(rule(nic.address, "entry"))
        failure = helper.release(nic.address, "guest")[nic.address].failure
    assert failure is not None
    assert failure.of_letting_go
    assert f"IOMMU group {nic.group}" in failure.message
    helper.store.clear()


def test_a_device_that_did_not_come_back_is_told_of_until_it_is_cleared(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    nic.function.broken = True
    helper.apply()  # it is no longer declared
    nic.function.broken = False
    host.unbind(nic.address)
    host.bind(nic.address)
    helper.settle()
    why = helper.device(nic.address).quarantined
    assert why is not None
    assert why.code == "power-error"
    helper.client.call("Clear", {"addresses": [str(nic.address)]})
    assert nic.address not in helper.devices()


def test_a_device_that_was_bound_anew_is_lent_without_a_word_of_what_was_before(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    nic.function.broken = True
    assert helper.release(nic.address, "guest")[nic.address].failure is not None
    nic.function.broken = False
    host.unbind(nic.address)
    host.bind(nic.address)
    helper.settle()
    assert helper.release(nic.address, "guest")[nic.address].failure is None


def test_another_card_at_the_address_is_lent_without_a_word_of_the_one_before(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    nic.function.broken = True
    helper.apply()
    nic.function.broken = False
    host.unplug(nic.address)
    helper.settle()
    host.add("0000:02:00.0", identity=Identity("10de", "2204", "10de", "1467", "030000"))
    helper.settle()
    assert nic.address not in helper.devices()
    lent = helper.release(nic.address, "guest")[nic.address]
    assert (lent.failure, lent.quarantined) == (None, None)


def test_a_device_that_did_not_come_back_is_forgotten_when_it_is_pulled_out(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    nic.function.broken = True
    helper.apply()
    nic.function.broken = False
    host.unplug(nic.address)
    helper.settle()
    assert nic.address not in helper.devices()


def test_a_lent_device_is_not_taken_by_a_run_nor_by_a_bind(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    helper.release(nic.address, "guest")
    calls = list(host.calls)
    assert helper.apply(rule(nic.address, "entry-with-wakeup")).actions[nic.address] == ()
    host.unbind(nic.address)
    host.bind(nic.address)
    helper.settle()
    helper.pass_time(86400)
    assert host.calls == calls
    report = helper.reclaim(nic.address, "guest")[nic.address]
    assert (report.engaged, report.leases) == (Mode.ENTRY_WITH_WAKEUP, ())


def test_a_device_can_be_lent_that_is_neither_declared_nor_bound(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0", driver="e1000e")
    report = helper.release(nic.address, "guest")[nic.address]
    assert [lease.holder for lease in report.leases] == ["guest"]
    assert helper.reclaim(nic.address, "guest")[nic.address].leases == ()
    assert not host.calls


def test_a_lease_with_an_end_is_over_then_and_the_device_taken_after_a_quiet_time(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    helper.release(nic.address, "guest", ttl=600)
    helper.pass_time(590)
    assert holders(helper, nic) == ["guest"]
    helper.pass_time(10)
    assert holders(helper, nic) == []
    assert not is_held(helper, nic)
    helper.pass_time(QUIET)
    assert helper.device(nic.address).engaged is Mode.ENTRY


def test_asking_again_starts_the_time_of_a_lease_anew(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    helper.release(nic.address, "guest", ttl=600)
    helper.pass_time(500)
    helper.release(nic.address, "guest", ttl=600)
    helper.pass_time(500)
    assert holders(helper, nic) == ["guest"]
    helper.release(nic.address, "guest")
    helper.pass_time(86400)
    assert holders(helper, nic) == ["guest"]


def test_a_guest_that_outlives_its_lease_is_tried_once_and_left_alone(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    helper.release(nic.address, "guest", ttl=600)
    guest = host.guest(nic.address)
    helper.pass_time(600)
    helper.pass_time(QUIET)
    failure = helper.device(nic.address).failure
    assert failure is not None
    assert failure.code == "busy"
    calls = list(host.calls)
    guest.stop()
    helper.pass_time(86400)
    assert host.calls == calls


def test_a_device_that_was_busy_before_its_lease_is_taken_after_it(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    guest = host.guest(nic.address)
    helper.apply(rule(nic.address, "entry"))
    helper.release(nic.address, "guest", ttl=600)
    guest.stop()
    helper.pass_time(600)
    helper.pass_time(QUIET)
    assert helper.device(nic.address).engaged is Mode.ENTRY


def test_nobody_ends_the_lease_of_another_holder(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    helper.release(nic.address, "alice")
    with pytest.raises(HelperRefused, match="alice") as refused:
        helper.reclaim(nic.address, "bob")
    assert refused.value.name == "LeaseHeld"
    assert holders(helper, nic) == ["alice"]


def test_of_two_leases_each_holder_ends_its_own(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    helper.release(nic.address, "alice")
    helper.release(nic.address, "bob")
    with pytest.raises(HelperRefused, match="alice"):
        helper.reclaim(nic.address)  # which of the two is not said
    helper.reclaim(nic.address, "bob")
    assert holders(helper, nic) == ["alice"]
    assert not is_held(helper, nic)
    helper.reclaim(nic.address, "alice")
    assert is_held(helper, nic)


def test_leases_survive_a_restart_and_end_with_the_boot(host: FakeHost, helper: Helper) -> None:
    nic, disk = host.add("0000:02:00.0"), host.add("0000:03:00.0")
    helper.apply(rule(nic.address, "entry"), rule(disk.address, "entry"))
    helper.release(nic.address, "forever")
    helper.release(disk.address, "for-a-while", ttl=600)
    helper.restart()
    helper.pass_time(500)
    assert holders(helper, nic) == ["forever"]
    assert holders(helper, disk) == ["for-a-while"]
    assert not is_held(helper, nic)
    helper.pass_time(101)
    helper.pass_time(QUIET)
    assert is_held(helper, disk)
    helper.boot()
    helper.pass_time(GRACE)
    assert holders(helper, nic) == []
    assert is_held(helper, nic)


@pytest.mark.parametrize("step", [-86400.0, 86400.0], ids=["back", "forward"])
def test_setting_the_clock_neither_ends_nor_prolongs_a_lease(
    host: FakeHost, helper: Helper, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    helper.release(nic.address, "guest", ttl=600)
    monkeypatch.setattr(Around, "clock", lambda _around: time.time() + step)
    helper.restart()
    helper.pass_time(590)
    assert holders(helper, nic) == ["guest"]
    helper.pass_time(10)
    assert holders(helper, nic) == []


def test_a_lease_that_ran_out_while_the_helper_was_away_still_has_its_quiet_time(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    helper.stop()
    now, up = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
    lease = Lease(nic.address, "guest", now - 600, now - 60, up - 60)
    Leases(str(helper.run)).save([lease])
    helper.start()
    helper.settle()
    assert holders(helper, nic) == []
    assert not is_held(helper, nic)
    helper.pass_time(QUIET)
    assert is_held(helper, nic)


def test_leases_that_cannot_be_read_are_told_until_somebody_converges(
    host: FakeHost, helper: Helper, capsys: pytest.CaptureFixture[str]
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    helper.release(nic.address, "guest")
    helper.stop()
    (helper.run / "leases.json").write_text("[{")
    helper.start()
    assert f"<4>{helper.run}/leases.json is damaged" in capsys.readouterr().err
    for method in ("GetStatus", "List"):
        assert "leases.json is damaged" in helper.client.call(method)["damaged"]
    helper.release(nic.address, "guest")
    assert "leases.json" in helper.client.call("List")["damaged"]
    helper.apply(rule(nic.address, "entry"))
    assert helper.client.call("List")["damaged"] is None
    helper.restart()
    assert helper.client.call("List")["damaged"] is None
    assert holders(helper, nic) == ["guest"]


def test_damaged_leases_are_written_anew_by_a_run_though_nothing_is_lent(
    host: FakeHost, helper: Helper
) -> None:
    helper.stop()
    (helper.run / "leases.json").write_text("[{")
    helper.start()
    helper.apply()
    helper.restart()
    assert helper.client.call("GetStatus")["damaged"] is None


def test_a_release_that_takes_too_long_names_what_hangs_and_goes_on(
    host: FakeHost, helper: Helper
) -> None:
    quick = host.add("0000:02:00.0", group=9)
    slow = host.add("0000:02:00.1", group=9)
    helper.apply(rule(quick.address, "entry"), rule(slow.address, "entry"))
    gate = host.hold_up(slow.address, "close")
    asking = Asking(lambda: helper.release(quick.address, "guest"))
    assert gate.reached.wait(10)
    helper.clock.ahead += 9
    helper.in_loop(lambda: None)
    assert asking.waits
    helper.clock.ahead += 1
    helper.in_loop(lambda: None)
    with pytest.raises(HelperRefused) as refused:
        asking.answer()
    assert refused.value.name == "Timeout"
    (pending,) = [
        it for it in refused.value.parameters["pending"] if it["address"] == str(slow.address)
    ]
    assert pending["call"] == "close"
    assert pending["seconds"] is not None
    assert "the lease of guest stays" in refused.value.hint
    assert time.time() - 60 < pending["since"] <= time.time()
    assert holders(helper, slow) == ["guest"]
    gate.open()
    helper.until(slow.address, state="released")
    helper.settle()
    host.guest(slow.address).stop()


def test_a_release_of_a_device_that_is_being_opened_waits_for_its_close(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    gate = host.hold_up(nic.address, "open")
    applying = Asking(lambda: helper.apply(rule(nic.address, "entry")))
    assert gate.reached.wait(10)
    releasing = Asking(lambda: helper.release(nic.address, "guest"))
    wait_until(lambda: holders(helper, nic) == ["guest"], "the lease is told")
    assert releasing.waits
    gate.open()
    assert not releasing.answer()[nic.address].held
    assert not applying.answer().devices[nic.address].held
    host.guest(nic.address).stop()


@pytest.mark.parametrize("holder", ["", "a b", "x" * 129, "söhne"])
def test_a_holder_needs_a_plain_name(host: FakeHost, helper: Helper, holder: str) -> None:
    nic = host.add("0000:02:00.0")
    with pytest.raises(
        HelperRefused, match=r"parameters\.holder: .* is no name of a holder: 1 to 128"
    ):
        helper.release(nic.address, holder)
    assert not helper.devices()


def test_what_is_no_address_is_refused_and_nothing_lent(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    parameters = {"addresses": [str(nic.address), "2460.0"], "holder": "guest"}
    with pytest.raises(HelperRefused, match="2460"):
        helper.client.call("Release", parameters)
    assert not helper.devices()


def test_a_lease_cannot_be_reclaimed_for_a_name_that_is_none(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.release(nic.address, "guest")
    with pytest.raises(HelperRefused, match="is no name of a holder"):
        helper.reclaim(nic.address, "a b")
    assert holders(helper, nic) == ["guest"]


@pytest.mark.parametrize("ttl", [-1, 1e10, 1e300])
def test_a_lease_has_an_end_that_a_calendar_knows(
    host: FakeHost, helper: Helper, ttl: float
) -> None:
    nic = host.add("0000:02:00.0")
    with pytest.raises(HelperRefused, match=r"parameters\.ttl: .* is not a number of seconds"):
        helper.release(nic.address, "guest", ttl)
    assert not helper.devices()


def test_leases_have_a_bound_that_no_host_needs(
    host: FakeHost, helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_LEASES", 3)
    addresses = [f"0000:02:00.{function}" for function in range(4)]
    with pytest.raises(HelperRefused, match="more than 3 leases"):
        helper.client.call("Release", {"addresses": addresses, "holder": "guest"})
    assert not helper.devices()
    helper.client.call("Release", {"addresses": addresses[:3], "holder": "guest"})
    assert len(helper.devices()) == 3
