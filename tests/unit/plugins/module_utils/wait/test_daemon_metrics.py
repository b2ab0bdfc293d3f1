# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The helper writes its metrics where that is switched on: true, in time, and not too often."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch import textfile
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait import metering
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress

from ..fake.host import FakeHost
from ..hold.conftest import ONE_WAY_IN
from ..hold.helper import Helper, rule, wait_until

NIC = PciAddress.parse("0000:02:00.0")
SIGN_OF_LIFE = 15.0  # seconds
pytestmark = ONE_WAY_IN


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "textfiles").mkdir()
    return tmp_path / "textfiles" / "vfio-power.prom"


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were written, or should have been."""
    texts: list[str] = []

    def write(path: str, text: str) -> None:
        texts.append(text)
        textfile.write(path, text)

    monkeypatch.setattr(metering, "write", write)
    return texts


@pytest.fixture
def measured(
    host: FakeHost, folder: Path, path: Path, writes: list[str], unexpected: list[BaseException]
) -> Iterator[Helper]:
    """A helper that writes metrics, and gives a sign of life every 15 seconds."""
    helper = Helper(host, folder)
    helper.environ["VFIO_POWER_METRICS_PATH"] = str(path)
    helper.environ["WATCHDOG_USEC"] = str(int(2 * SIGN_OF_LIFE * 1_000_000))
    (helper.run / "started").touch()
    helper.start()
    wait_until(path.exists, "metrics are written")
    settle(helper)
    yield helper
    helper.stop()
    assert not unexpected


def settle(helper: Helper) -> None:
    helper.settle()
    meter = helper.daemon._meter
    assert meter is not None
    wait_until(lambda: not helper.in_loop(lambda: meter.workers.busy), "the metrics are written")


def pass_signs(helper: Helper, number: int) -> None:
    """Let so many signs of life be given."""
    for _sign in range(number):
        helper.pass_time(SIGN_OF_LIFE)
        settle(helper)


def value(path: Path, name: str, labels: str = "") -> Optional[float]:
    """Return a sample whose labels contain these, or None."""
    for found, number in re.findall(
        rf"^vfio_power_{name}(?:{{(.*)}})? (\S+)$", path.read_text(), re.MULTILINE
    ):
        if labels in found:
            return float(number)
    return None


def test_without_a_path_nothing_is_written_and_nobody_is_there_to_do_it(helper: Helper) -> None:
    assert helper.daemon._meter is None


def test_what_happens_is_told_with_the_next_signs_of_life(
    host: FakeHost, measured: Helper, path: Path
) -> None:
    nic = host.add(str(NIC))
    assert value(path, "declared_devices") == 0
    measured.apply(rule(NIC, "entry-with-wakeup", reentry={"delay": 3600.0}))
    pass_signs(measured, 2)
    assert value(path, "device_engaged") == value(path, "device_asleep") == 1
    assert value(path, "device_wakes_total", 'kind="foreign"') == 0
    host.touch_device(nic.address)
    measured.until(NIC, state="waiting")
    pass_signs(measured, 1)
    assert value(path, "device_engaged") == value(path, "device_asleep") == 0
    assert value(path, "device_wakes_total", 'kind="foreign"') == 1
    assert value(path, "device_drift", 'code="waiting"') == 1


def test_a_quiet_helper_writes_every_few_minutes_and_not_with_every_sign_of_life(
    host: FakeHost, measured: Helper, path: Path, writes: list[str]
) -> None:
    host.add(str(NIC))
    measured.apply(rule(NIC, "entry"))
    pass_signs(measured, 2)  # the second one: what happened may not have been at its end
    writes.clear()
    first = value(path, "last_write_timestamp_seconds")
    pass_signs(measured, int(metering.QUIET / SIGN_OF_LIFE) - 1)
    assert writes == []
    pass_signs(measured, 1)
    assert len(writes) == 1
    assert value(path, "last_write_timestamp_seconds") > first


def test_a_device_that_is_engaged_and_awake_is_told_and_once_it_sleeps_no_more(
    host: FakeHost, measured: Helper, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nic = host.add(str(NIC))
    measured.apply(rule(NIC, "entry", expect="asleep"))
    monkeypatch.setattr(metering, "judge", _without_patience(metering.judge))
    host.write_control(nic.address, "on")
    host.write_control(nic.address, "auto")
    with host.changed:
        nic.function.get()
    try:
        pass_signs(measured, int(metering.QUIET / SIGN_OF_LIFE) + 2)
        assert value(path, "device_drift", 'code="not-suspended",severity="drift"') == 1
    finally:
        with host.changed:
            nic.function.put()
    pass_signs(measured, int(metering.QUIET / SIGN_OF_LIFE))
    assert value(path, "device_drift") is None


def test_a_host_policy_is_told_only_where_it_differs(
    host: FakeHost, measured: Helper, path: Path
) -> None:
    host.add(str(NIC))
    host.write_d3cold_allowed(NIC, allowed=False)
    measured.apply(rule(NIC, "entry", d3cold="forbid"))
    pass_signs(measured, 2)
    assert value(path, "device_drift") is None
    host.write_d3cold_allowed(NIC, allowed=True)
    pass_signs(measured, int(metering.QUIET / SIGN_OF_LIFE) + 1)
    assert value(path, "device_drift", 'code="host-policy"') == 1


def test_a_rule_that_finds_too_few_devices_is_told(
    host: FakeHost, measured: Helper, path: Path
) -> None:
    host.add(str(NIC))
    measured.apply({**rule(NIC, "entry"), "count": 1})
    pass_signs(measured, 2)
    assert value(path, "host_drift") is None
    host.unplug(NIC)
    wait_until(lambda: NIC not in measured.daemon.keeper.table.devices, "the table is made anew")
    pass_signs(measured, int(metering.QUIET / SIGN_OF_LIFE) + 1)
    assert value(path, "host_drift", 'code="count-mismatch"') == 1


def _without_patience(judge):
    """Judge as if the seconds to fall asleep were over; the wall clock does not jump here."""
    return lambda case: judge(case._replace(settle=0.0))


def test_of_a_device_that_is_not_held_no_state_is_judged(
    host: FakeHost, measured: Helper, path: Path
) -> None:
    """A guest may have it, which the helper in its sandbox cannot see."""
    host.add(str(NIC))
    measured.apply(rule(NIC, "none", expect="asleep"))
    pass_signs(measured, 2)
    assert value(path, "device_asleep") == 0
    assert value(path, "device_drift") is None


def test_writing_them_wakes_nothing_and_calls_no_device(
    host: FakeHost, measured: Helper, path: Path
) -> None:
    nic = host.add(str(NIC))
    measured.apply(rule(NIC, "entry-with-wakeup"))
    calls = list(host.calls)
    pass_signs(measured, int(metering.QUIET / SIGN_OF_LIFE) + 2)
    assert host.calls == calls
    assert nic.function.suspended
    assert value(path, "device_wakes_total", 'kind="own"') == 0


def test_a_folder_that_hangs_keeps_nobody_waiting(
    host: FakeHost, measured: Helper, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.add(str(NIC))
    pipe = path.parent / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setattr(metering, "write", lambda _path, _text: pipe.read_bytes())
    measured.apply(rule(NIC, "entry"))
    measured.pass_time(SIGN_OF_LIFE)
    try:
        host.add("0000:03:00.0")
        measured.apply(rule(NIC, "entry"), rule(PciAddress.parse("03:00.0"), "entry"))
        measured.pass_time(SIGN_OF_LIFE)
        assert all(report.held for report in measured.devices().values())
    finally:
        pipe.open("wb").close()
        settle(measured)


def test_a_folder_that_cannot_be_written_is_told_once(
    host: FakeHost, measured: Helper, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(metering, "tell", lambda _event, text: told.append(text))
    away = path.parent.rename(path.parent.with_name("away"))
    pass_signs(measured, 2 * int(metering.QUIET / SIGN_OF_LIFE) + 2)
    assert len(told) == 1
    assert str(path) in told[0]
    away.rename(path.parent)
    pass_signs(measured, int(metering.QUIET / SIGN_OF_LIFE))
    path.parent.rename(away)
    pass_signs(measured, int(metering.QUIET / SIGN_OF_LIFE))
    assert len(told) == 2
