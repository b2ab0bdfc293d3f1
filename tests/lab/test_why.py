# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a device is awake, or not deeper asleep, and that asking wakes none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conditions import attribute, file, on_driver
from .declared import main_rules, rule
from .guests import guest, libvirt_guest
from .managed import ManagedHost
from .watching import sleeping_on

LAB = {"shape": "standard"}

BOTH = ("dual0", "dual1")
SECRET = "hunter2"

TLP = "/etc/tlp.conf"
UDEV = "/etc/udev/rules.d/80-theirs.rules"
QUIRKS = "/etc/vfio-power/quirks.d/90-test.json"


def why(host: ManagedHost, card: str) -> dict[str, Any]:
    """What the host's own command says to a program."""
    document: dict[str, Any] = json.loads(host.ctl(f"why {host.address(card)} --json").stdout)
    told: dict[str, Any] = document["why"]
    return told


def page(host: ManagedHost, card: str) -> str:
    """What it says to a person."""
    return str(host.ctl(f"why {host.address(card)}").stdout)


def codes(reasons: list[dict[str, Any]]) -> list[str]:
    return [reason["code"] for reason in reasons]


def test_asking_wakes_nothing(main: ManagedHost) -> None:
    main.put_back([*main_rules(main), *(rule(main, card, mode="entry") for card in BOTH)])
    for card in (*BOTH, *main.ports(*BOTH)):
        main.reaches(card, "D3cold")
    sleepers = ("nic", "disk", "rng", *BOTH)
    with sleeping_on(main, *sleepers) as asleep:
        assert set(main.ports(*BOTH)) <= asleep
        for card in (*sleepers, "warm", "edu", "vga"):
            assert main.address(card) in page(main, card)
        told = {it["address"]: it["why"] for it in main.info()["devices"]}
    cold = ("nic", "disk", *BOTH)
    assert {told[main.address(card)]["best"] for card in cold} == {"D3cold"}
    assert {len(told[main.address(card)]["not_deeper"]) for card in cold} == {0}
    assert [told[main.address(card)]["best"] for card in ("rng", "warm")] == ["D3hot", "D3hot"]


def test_an_unopened_device_is_awake_because_of_the_host_and_where_that_is_said(
    main: ManagedHost,
) -> None:
    told = why(main, "warm")
    assert codes(told["awake"]) == ["disable-idle-d3"]
    assert "/proc/cmdline:1 (kernel)" in told["awake"][0]["message"]
    assert codes(told["not_deeper"]) == ["no-platform-power"]


def test_a_switch_that_reads_on_is_the_reason_and_the_hint_helps(main: ManagedHost) -> None:
    with attribute(main, "rng", "power/control", "on"):
        (reason,) = why(main, "rng")["awake"]
        assert reason["code"] == "control-on"
        assert "runtime-pm-forbidden" in main.codes("rng")
        main.lab.ssh(reason["hint"].partition(": ")[2])
        main.reaches("rng", "D3hot")


def test_d3cold_that_is_not_allowed_is_told_and_the_best_state_stays(main: ManagedHost) -> None:
    with attribute(main, "disk", "d3cold_allowed", "0"):
        main.reaches("disk", "D3hot")
        told = why(main, "disk")
        assert (told["best"], codes(told["not_deeper"])) == ("D3cold", ["d3cold-not-allowed"])
        assert main.codes("disk") == {"d3cold-blocked": "info"}
    main.reaches("disk", "D3cold")


def test_a_sibling_without_a_driver_keeps_the_port_up_until_the_hint_is_followed(
    main: ManagedHost,
) -> None:
    (port,) = main.ports(*BOTH)
    with on_driver(main, "dual1", "none"):
        main.put_back([*main_rules(main), rule(main, "dual0", mode="entry")])
        main.reaches("dual0", "D3hot")
        told = why(main, "dual0")
        assert told["best"] == "D3cold"
        (reason,) = told["not_deeper"]
        assert (reason["code"], reason["address"]) == ("sibling-awake", main.address("dual1"))
        assert "on no driver" in reason["message"]
        above = told["ports"][-1]
        assert (above["address"], above["power_state"]) == (port, "D0")
        assert (above["may_sleep"], above["platform_power"]) == (True, True)
        command = reason["hint"].partition(": ")[2].partition(";")[0]
        main.lab.ssh(command)
        main.reaches("dual0", "D3cold")
        assert why(main, "dual0")["not_deeper"] == []


def test_a_port_that_is_kept_awake_is_told_as_such(main: ManagedHost) -> None:
    above = why(main, "nic")["ports"][-1]
    assert above["address"] == main.ports("nic")[0]
    assert above["may_sleep"] is False, "it is one for hot-plug"


def test_a_guest_is_told_by_its_name_and_nothing_of_its_command_line(main: ManagedHost) -> None:
    address = main.address("warm")
    with libvirt_guest(main, "warm", "web", "-fw_cfg", f"name=opt/test,string={SECRET}"):
        told = page(main, "warm")
        assert "(in-use)" in told
        answer = main.info(devices=[{"address": address}])
        (opener,) = answer["devices"][0]["opened_by"]
        assert (opener["command"], opener["guest"]) == ("qemu-system-x86", "web")
        everything = [told, json.dumps(answer), main.ctl("list --json").stdout]
        everything += [main.ctl(f"{word} {address} --json").stdout for word in ("why", "show")]
        formats = {"vfio_power_report_formats": ["html", "json", "junit"]}
        assert main.play("vfio.power.report", **formats).status == 0
        files = [it.read_text() for it in (main.lab.folder / "vfio-power-report").iterdir()]
    assert len(files) == 3
    assert not [text for text in files if SECRET in text or "fw_cfg" in text]
    assert all("guest web" in text or '"guest": "web"' in text for text in everything)
    assert not [text for text in everything if SECRET in text or "fw_cfg" in text]


def test_a_guest_that_somebody_started_by_hand_has_a_name_too(main: ManagedHost) -> None:
    with guest(main, "warm", more="-name guest=web,debug-threads=on"):
        assert "guest web)" in page(main, "warm")


def test_a_device_without_power_management_stays_in_d0(main: ManagedHost) -> None:
    with on_driver(main, "edu", "vfio-pci", back="none"):
        main.put_back([*main_rules(main), rule(main, "edu", mode="entry")])
        try:
            suspended = "the device to be suspended"
            main.lab.wait_for(
                lambda: main.seen("edu")["edu"].runtime_status == "suspended", 20, suspended
            )
            told = why(main, "edu")
            assert (told["best"], codes(told["not_deeper"])) == ("D0", ["no-power-management"])
        finally:
            main.put_back(main_rules(main))


def test_a_driver_of_the_host_is_named(main: ManagedHost) -> None:
    with on_driver(main, "warm", "e1000e"):
        told = why(main, "warm")
    assert "host-driver" in codes(told["awake"])
    assert any("on the driver e1000e" in it["message"] for it in told["awake"])


def test_rivals_are_named_with_file_and_line(main: ManagedHost) -> None:
    address = main.address("disk")
    theirs = f'# theirs\nSUBSYSTEM=="pci", KERNEL=="{address}", ATTR{{power/control}}="auto"\n'
    with file(main, TLP, "RUNTIME_PM_ON_AC=auto\n"), file(main, UDEV, theirs):
        told = page(main, "disk")
        assert f"{UDEV}:2 (udev) writes auto to power/control" in told
        assert f"{TLP}:1 (TLP" in told
        assert UDEV not in page(main, "nic")
        assert main.codes("disk") == {"rival-policy": "info"}
        assert not main.info()["drifted"]
    assert main.codes("disk") == {}


@pytest.mark.parametrize("kind", ["no-d3cold", "no-reentry"])
def test_a_quirk_is_told_with_its_source(main: ManagedHost, kind: str) -> None:
    row = {"address": main.address("warm"), "quirk": kind, "reason": "it dies", "source": "us"}
    with file(main, QUIRKS, json.dumps([row])):
        assert f"{kind}: it dies, says us" in page(main, "warm")
