# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Prometheus sees of a host, and the history that its counters come from."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tools.prometheus import program

from .conditions import read_without_end
from .declared import HELPER, main_rules
from .managed import ManagedHost
from .monitoring import FOLDER, METRICS, Prometheus, prometheus
from .watching import sleeping_on

LAB = {"shape": "standard"}

ALERT = "VfioPowerNotSuspended"

SCRAPED = 40
"""Seconds within which what the helper heard of is written, and scraped."""


@pytest.fixture(scope="module")
def metered(converged: ManagedHost) -> Iterator[ManagedHost]:
    """The host with metrics switched on."""
    converged.lab.ssh(f"mkdir -p {FOLDER}")
    with_metrics = {**HELPER, "vfio_power_helper_metrics_path": METRICS}
    converged.converge(vfio_power_devices=main_rules(converged), **with_metrics)
    yield converged
    converged.converge(vfio_power_devices=main_rules(converged), **HELPER)
    converged.lab.ssh(f"rm -r {FOLDER}")


@pytest.fixture(scope="module")
def scraping(
    metered: ManagedHost, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """A Prometheus that scrapes it."""
    with prometheus(metered.lab, tmp_path_factory.mktemp("prometheus")) as running:
        yield running


def history(host: ManagedHost, card: str) -> dict[str, Any]:
    (device,) = host.info(devices=[{"address": host.address(card)}])["devices"]
    told: dict[str, Any] = device["history"]
    return told


def test_the_states_of_all_devices_arrive(main: ManagedHost, scraping: Prometheus) -> None:
    names = {card: main.address(card) for card in ("nic", "disk", "rng", "spare")}

    def arrived() -> bool:
        asleep = scraping.values("vfio_power_device_asleep")
        return asleep == {names["nic"]: 1, names["disk"]: 1, names["rng"]: 1, names["spare"]: 0}

    main.lab.wait_for(arrived, SCRAPED, "three of four to be told as asleep")
    assert scraping.values("vfio_power_declared_devices") == {"": 4}
    recorded = "instance:vfio_power_devices_asleep:sum"
    main.lab.wait_for(lambda: scraping.values(recorded) == {"": 3}, SCRAPED, "the recorded sum")
    cold = scraping.values('vfio_power_device_power_state{state="D3cold"} == 1')
    assert set(cold) == {names["nic"], names["disk"]}
    assert scraping.values("vfio_power_device_held") == dict.fromkeys(names.values(), 1)
    assert scraping.firing() == {}


def test_promtool_finds_nothing_amiss_in_what_is_written(
    main: ManagedHost, metered: ManagedHost
) -> None:
    main.lab.wait_for(
        lambda: main.lab.ssh(f"test -s {METRICS}", check=False).returncode == 0, SCRAPED, "metrics"
    )
    written = main.lab.ssh(f"cat {METRICS}").stdout
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=written,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert not checked.stdout + checked.stderr
    assert main.address("nic") in written


def test_to_be_scraped_wakes_no_device(main: ManagedHost, scraping: Prometheus) -> None:
    stamp = "vfio_power_last_write_timestamp_seconds"
    before = scraping.values(stamp)
    with sleeping_on(main, "nic", "disk", "rng"):
        main.put_back(main_rules(main))
        written = "the metrics to be written again"
        main.lab.wait_for(lambda: scraping.values(stamp) != before, SCRAPED, written)


def test_a_wake_by_somebody_else_is_counted(main: ManagedHost, scraping: Prometheus) -> None:
    query, nic = 'vfio_power_device_wakes_total{kind="foreign"}', main.address("nic")
    before = history(main, "nic")["foreign"]
    main.lab.ssh(f"lspci -s {nic}")
    main.lab.wait_for(
        lambda: scraping.values(query)[nic] == before + 1, SCRAPED, "the wake to be scraped"
    )


def test_the_alert_of_a_device_that_is_kept_awake_fires_and_clears(
    main: ManagedHost, scraping: Prometheus
) -> None:
    disk = main.address("disk")
    with read_without_end(main, "disk"):
        main.put_back(main_rules(main))
        main.lab.wait_for(
            lambda: scraping.firing().get(ALERT, {}).get("address") == disk, SCRAPED, "the alert"
        )
        assert "not-suspended" in main.codes("disk")
    main.reaches("disk", "D3cold")
    main.put_back(main_rules(main))
    main.lab.wait_for(lambda: scraping.firing() == {}, SCRAPED, "the alert to clear")
    assert scraping.values("vfio_power_device_asleep")[disk] == 1, "it clears by what is scraped"


@pytest.mark.soak  # four minutes; on the fake kernel it is seen in every run
def test_the_history_goes_on_over_a_killed_helper_and_a_boot(main: ManagedHost) -> None:
    nic = main.address("nic")
    stored = f"grep {nic} /var/lib/vfio-power/history.json"
    main.lab.wait_for(
        lambda: not main.lab.ssh(stored, check=False).returncode, 30, "the history to be on disk"
    )
    main.lab.ssh(f"lspci -s {nic}")
    before = history(main, "nic")
    assert before["foreign"] >= 1
    main.lab.ssh("systemctl kill -s KILL vfio-powerd")
    back = "systemctl is-active --quiet vfio-powerd && vfio-powerctl list"
    main.lab.wait_for(
        lambda: not main.lab.ssh(back, check=False).returncode, 30, "the helper to be back"
    )
    assert history(main, "nic")["foreign"] == before["foreign"]
    main.lab.reboot()
    main.reaches("nic", "D3cold", seconds=90)
    after = history(main, "nic")
    assert after["foreign"] == before["foreign"]
    assert after["since"] == before["since"]
    assert after["suspended_seconds"] > before["suspended_seconds"]
    main.lab.ssh(f"lspci -s {nic}")
    assert history(main, "nic")["foreign"] == before["foreign"] + 1
    assert f"{before['foreign'] + 1} of them by somebody else" in main.ctl(f"show {nic}").stdout
