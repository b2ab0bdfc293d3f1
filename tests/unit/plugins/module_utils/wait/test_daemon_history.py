# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the helper remembers of a card: over wakes, restarts and boots, and not beyond the card."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold.histories import HOUR, SOON
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch import chronicles
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait import daemon
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.history import History

from ..fake.host import FakeDevice, FakeHost
from ..hold.conftest import ONE_WAY_IN
from ..hold.helper import Helper, rule, wait_until

NIC, DISK = PciAddress.parse("0000:02:00.0"), PciAddress.parse("0000:03:00.0")
pytestmark = ONE_WAY_IN


@pytest.fixture
def nic(host: FakeHost, helper: Helper) -> FakeDevice:
    """A card that may sleep, and is entered again half a minute after a wake."""
    nic = host.add("0000:02:00.0")
    helper.apply(armed(NIC))
    return nic


def armed(address: PciAddress) -> dict[str, object]:
    return rule(address, "entry-with-wakeup", reentry={"delay": 30.0})


def wake(host: FakeHost, helper: Helper, address: PciAddress = NIC) -> None:
    """Let a stranger wake a card, and time pass until it is entered again."""
    host.touch_device(address)
    helper.until(address, state="waiting")
    helper.pass_time(40)
    helper.until(address, state="entry-with-wakeup")


def history(helper: Helper, address: PciAddress = NIC) -> History:
    found = helper.device(address).history
    assert found is not None
    return found


def file(helper: Helper) -> Path:
    return Path(helper.state, chronicles.HISTORY)


def test_a_foreign_wake_is_in_the_history_with_its_time(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    wake(host, helper)
    told, wakes = history(helper), helper.device(NIC).wakes
    assert (told.own, told.foreign, told.incidents) == (0, 1, 1)
    assert wakes is not None
    assert [(it.at, it.kind) for it in told.last] == [(wakes.last, "foreign")]


def test_devices_below_one_port_that_wake_at_once_are_one_incident(
    host: FakeHost, helper: Helper
) -> None:
    port = host.add_port("0000:00:1c.0")
    cards = [host.add(f"0000:02:00.{function}", port=port) for function in range(2)]
    helper.apply(*(armed(card.address) for card in cards))
    helper.pass_time(60)  # what woke by our own work
    before = [history(helper, card.address) for card in cards]

    def both() -> None:
        for card in cards:
            host.touch_device(card.address)

    helper.in_loop(both)
    for card, old in zip(cards, before):
        helper.until(card.address, state="waiting")
        told = history(helper, card.address)
        assert told.incidents == old.incidents + 1
        assert told.last[0].devices == 2


@pytest.mark.parametrize("how", ["restart", "boot"])
def test_the_history_goes_on_after_a(
    host: FakeHost, helper: Helper, nic: FakeDevice, how: str
) -> None:
    wake(host, helper)
    before = history(helper)
    getattr(helper, how)()
    if how == "boot":
        helper.apply(armed(NIC))
    again = history(helper)
    assert again._replace(asleep_before=0, awake_before=0) == before
    wake(host, helper)
    assert history(helper).foreign == before.foreign + 1


def test_no_wake_is_lost_where_the_helper_is_killed(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    for _number in range(3):
        wake(host, helper)
    helper.kill()  # nothing of it was written down
    helper.start()
    told = history(helper)
    assert (told.own, told.foreign, told.incidents) == (0, 3, 3)
    helper.kill()
    helper.start()
    assert history(helper) == told


def test_many_wakes_are_one_write_and_it_is_not_at_once(
    host: FakeHost, helper: Helper, nic: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = []
    save = chronicles.HistoryFile.save
    monkeypatch.setattr(
        chronicles.HistoryFile, "save", lambda *all: (writes.append(all), save(*all))
    )
    helper.pass_time(SOON)
    assert len(writes) == 1  # that the card is declared
    for _number in range(5):
        wake(host, helper)
    assert len(writes) == 1
    helper.pass_time(SOON)
    assert len(writes) == 2
    helper.pass_time(HOUR)
    assert len(writes) == 3  # the times alone


def test_the_time_asleep_goes_on_over_boots(
    host: FakeHost, helper: Helper, nic: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    power = host.sysfs.power
    counted = {"suspended_ms": 50_000, "active_ms": 2_000}
    monkeypatch.setattr(
        host.sysfs, "power", lambda address: (it := power(address)) and it._replace(**counted)
    )
    helper.restart()
    helper.boot()
    told = history(helper)
    assert (told.asleep_before, told.awake_before) == (50.0, 2.0)


def test_another_card_at_the_address_begins_anew(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    wake(host, helper)
    host.unplug(NIC)
    host.add("0000:02:00.0", identity=nic.identity._replace(device="1533"))
    helper.settle()
    told = history(helper)
    assert (told.foreign, told.incidents, told.last) == (0, 0, ())


def test_a_card_that_is_no_longer_declared_has_no_history(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    wake(host, helper)
    helper.apply()
    assert NIC not in helper.devices()
    helper.apply(armed(NIC))
    assert history(helper).foreign == 0


def test_the_last_card_that_was_declared_is_forgotten_on_disk_as_well(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    wake(host, helper)
    helper.restart()
    helper.apply()
    helper.pass_time(SOON)
    wait_until(lambda: "0000:02:00.0" not in file(helper).read_text(), "it is forgotten")
    helper.apply(armed(NIC))
    helper.kill()
    helper.start()
    assert history(helper).foreign == 0


def test_a_damaged_file_is_told_once_and_begun_anew(
    host: FakeHost, helper: Helper, nic: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    wake(host, helper)
    helper.terminate()
    for name in os.listdir(helper.state):
        if name.startswith(chronicles.HISTORY):
            Path(helper.state, name).write_bytes(b"\x00")
    helper.store.clear()
    helper.next_boot()
    told: list[str] = []
    monkeypatch.setattr(
        daemon, "tell", lambda event, text, *_more: told.append(text) if event == "damaged" else 0
    )
    helper.start()
    assert [chronicles.HISTORY in text for text in told] == [True]
    assert history(helper).foreign == 0
    helper.restart()
    assert len(told) == 1


def test_a_history_that_cannot_be_written_is_told_once(
    host: FakeHost, helper: Helper, nic: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_all: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "history.json")

    told: list[str] = []
    monkeypatch.setattr(daemon, "tell", lambda event, text, *_more: told.append(event))
    with monkeypatch.context() as on_a_full_disk:
        on_a_full_disk.setattr(chronicles.HistoryFile, "save", full)
        for _time in range(2):
            wake(host, helper)
            helper.pass_time(SOON)
            helper.pass_time(HOUR)
    assert told.count("unwritten") == 1
    helper.pass_time(HOUR)
    helper.restart()
    assert history(helper).foreign == 2


def test_a_disk_that_hangs_while_the_history_is_written_keeps_nobody_waiting(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    file(helper).unlink(missing_ok=True)
    os.mkfifo(file(helper))  # to open it for reading waits for ever
    helper.clock.ahead += SOON
    try:
        host.touch_device(NIC)
        helper.until(NIC, state="waiting")
    finally:
        with file(helper).open("wb"):
            pass
        wait_until(lambda: not helper.daemon.clerk.busy, "the history is written")
