# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The helper stands back: by command, by a file, or on the kernel's command line."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    HelperRefused,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode

from ..fake.host import FakeDevice, FakeHost
from ..hold.conftest import ONE_WAY_IN
from ..hold.helper import Asking, Helper, rule, wait_until

pytestmark = ONE_WAY_IN

GRACE = 60.0


@pytest.fixture
def nic(host: FakeHost) -> FakeDevice:
    return host.add("0000:02:00.0")


@pytest.fixture
def disk(host: FakeHost) -> FakeDevice:
    return host.add("0000:03:00.0")


def is_held(device: FakeDevice) -> bool:
    return device.vfio is not None and device.vfio.opens > 0


def why_paused(helper: Helper) -> str:
    return helper.client.call("GetStatus")["paused"] or ""


def test_a_pause_lets_everything_go_and_takes_nothing(
    host: FakeHost, helper: Helper, nic: FakeDevice, disk: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry"))
    answer = helper.client.call("Pause")
    assert [it["held"] for it in answer["devices"]] == [False]
    assert answer["paused"] == why_paused(helper) != ""
    assert helper.store.count == 0
    calls = len(host.calls)
    helper.apply(rule(nic.address, "entry"), rule(disk.address, "entry"))
    helper.reclaim(nic.address)
    host.unbind(disk.address)
    host.bind(disk.address)
    helper.settle()
    helper.pass_time(3600)
    assert host.calls[calls:] == []
    assert "paused" in helper.manager.status_line


def test_a_pause_that_is_over_takes_what_is_declared(
    helper: Helper, nic: FakeDevice, disk: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.client.call("Pause")
    helper.apply(rule(nic.address, "entry"), rule(disk.address, "entry-with-wakeup"))
    answer = helper.client.call("Resume")
    assert answer["paused"] is None
    assert helper.device(nic.address).engaged is Mode.ENTRY
    assert helper.device(disk.address).engaged is Mode.ENTRY_WITH_WAKEUP
    assert helper.manager.status_line == "2 devices declared"


@pytest.mark.parametrize("again", ["restart", "boot"])
def test_a_pause_outlives_helper_and_boot(
    host: FakeHost, helper: Helper, nic: FakeDevice, again: str
) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.client.call("Pause")
    calls = len(host.calls)
    getattr(helper, again)()
    helper.pass_time(GRACE)
    assert why_paused(helper)
    assert host.calls[calls:] == []
    helper.client.call("Resume")
    assert is_held(nic)
    getattr(helper, again)()
    assert not why_paused(helper)


def test_to_resume_is_to_ask_for_what_is_declared(
    host: FakeHost, helper: Helper, nic: FakeDevice, disk: FakeDevice
) -> None:
    guest = host.guest(disk.address)
    helper.apply(rule(nic.address, "entry"), rule(disk.address, "entry"))
    helper.client.call("Pause")
    helper.boot()
    guest.stop()
    helper.client.call("Resume")  # no boot grace, and what was refused before is tried again
    assert is_held(nic)
    assert is_held(disk)


def test_a_lease_outlives_a_pause(helper: Helper, nic: FakeDevice) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.release(nic.address, "guest")
    helper.client.call("Pause")
    helper.client.call("Resume")
    assert not is_held(nic)
    assert [it.holder for it in helper.device(nic.address).leases] == ["guest"]


def test_a_pause_names_the_device_that_does_not_let_go(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry"))
    gate = host.hold_up(nic.address, "close")
    pausing = Asking(lambda: helper.client.call("Pause"))
    assert gate.reached.wait(10)

    def gives_up() -> bool:
        helper.clock.ahead += 60
        helper.daemon.loop.call_soon_threadsafe(lambda: None)
        return not pausing.waits

    wait_until(gives_up, "Pause is answered")
    with pytest.raises(HelperRefused, match=f"{nic.address} in close"):
        pausing.answer()
    gate.open()
    helper.until(nic.address, held=False)


def test_a_pause_that_cannot_be_stored_is_refused(
    helper: Helper, nic: FakeDevice, unexpected: list[BaseException]
) -> None:
    helper.apply(rule(nic.address, "entry"))
    (helper.state / "paused.json.new").mkdir()
    with pytest.raises(HelperRefused, match="not stored"):
        helper.client.call("Pause")
    assert is_held(nic)
    assert not why_paused(helper)
    (helper.state / "paused.json.new").rmdir()
    unexpected.clear()


@pytest.mark.parametrize("said", ["Pause", "Resume"])
def test_while_nobody_can_tell_whether_it_was_paused_the_helper_stands_back(
    helper: Helper, nic: FakeDevice, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.client.call("Pause")
    helper.client.call("Resume")
    helper.kill()
    (helper.state / "paused.json").write_text("{")
    (helper.state / "paused.json.previous").unlink()
    helper.start()
    helper.until(nic.address, held=False)
    assert "nobody can tell" in why_paused(helper)
    assert f"<4>{helper.state}/paused.json " in capsys.readouterr().err
    helper.apply(rule(nic.address, "entry"))
    assert "paused.json" in helper.client.call("GetStatus")["damaged"]
    helper.client.call(said)
    assert helper.client.call("GetStatus")["damaged"] is None
    assert is_held(nic) is (said == "Resume")
    assert why_paused(helper) == ("" if said == "Resume" else "vfio-powerctl pause was called")


def switch_off(helper: Helper, switch: str) -> None:
    if switch == "file":
        (helper.etc / "off").touch()
    else:
        helper.environ["vfio_power"] = "off"


def switch_on(helper: Helper) -> None:
    helper.environ.pop("vfio_power", None)
    if (helper.etc / "off").exists():
        (helper.etc / "off").unlink()


SWITCHES = {"file": "etc/off", "command line": "vfio_power=off"}


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_host_that_is_switched_off_holds_nothing_and_says_why(
    host: FakeHost, helper: Helper, nic: FakeDevice, switch: str
) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.boot()
    switch_off(helper, switch)
    helper.restart()
    calls = len(host.calls)
    helper.pass_time(GRACE)
    helper.apply(rule(nic.address, "entry"))
    assert SWITCHES[switch] in why_paused(helper)
    assert SWITCHES[switch] in helper.manager.status_line
    assert host.calls[calls:] == []
    assert SWITCHES[switch] in helper.client.call("Resume")["paused"]
    assert not is_held(nic)
    switch_on(helper)
    helper.restart()
    helper.pass_time(GRACE)
    assert is_held(nic)


def test_what_a_helper_held_is_let_go_where_the_next_one_is_switched_off(
    helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.kill()
    switch_off(helper, "file")
    helper.start()
    helper.until(nic.address, held=False)
    assert helper.store.count == 0


def test_the_file_is_found_by_a_helper_that_runs_and_ends_by_hand_only(
    helper: Helper, nic: FakeDevice
) -> None:
    helper.terminate()
    helper.environ["WATCHDOG_USEC"] = "30000000"
    helper.start()
    helper.apply(rule(nic.address, "entry"))
    switch_off(helper, "file")
    helper.pass_time(15)
    helper.until(nic.address, held=False)
    assert SWITCHES["file"] in helper.manager.status_line
    switch_on(helper)
    helper.pass_time(GRACE)
    assert not is_held(nic)
    helper.client.call("Resume")
    assert is_held(nic)


def test_the_file_is_looked_at_again_when_something_is_applied(
    helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry"))
    switch_off(helper, "file")
    assert helper.apply(rule(nic.address, "entry")).actions == {nic.address: ("close",)}
    switch_on(helper)
    applied = helper.apply(rule(nic.address, "entry"))
    assert applied.actions == {nic.address: ("open", "entry")}


def test_another_word_on_the_command_line_is_not_meant(helper: Helper, nic: FakeDevice) -> None:
    helper.environ["vfio_power"] = "on"
    helper.restart()
    assert not why_paused(helper)
