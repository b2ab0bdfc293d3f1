# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a device is awake or not deeper asleep, as a person reads it and a program takes it."""

from __future__ import annotations

import builtins
import os
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any, Optional

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.quirks import Loaded
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.allowance import (
    Allowance,
    HostPolicy,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import Rule
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Expect, Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.quirk import Kind, Quirk

from ..fake.host import FakeDevice
from ..touch.scene import NOW, Scene
from .running import ctl

HERE = "0000:03:00.0"
LEFT_ALONE = HostPolicy()
SAFE = {
    "address",
    "autosuspend_delay_ms",
    "boot_vga",
    "control",
    "d3cold_allowed",
    "disable_idle_d3",
    "modalias",
    "numa_node",
    "power_state",
    "reset_method",
    "runtime_active_time",
    "runtime_status",
    "runtime_suspended_time",
    "runtime_usage",
}
"""Attributes that the kernel answers from memory, whatever the device does."""
BESIDE = "0000:03:00.1"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A host whose unopened devices stay awake, with a helper that answers."""
    made = Scene(tmp_path)
    with made.serve():
        yield made


def why(scene: Scene, address: str = HERE) -> dict[str, Any]:
    """Return what is said to a program."""
    told: dict[str, Any] = ctl(scene, "why", address, "--json").json["why"]
    return told


def codes(reasons: list[dict[str, Any]]) -> list[str]:
    return [reason["code"] for reason in reasons]


def page(scene: Scene, address: str = HERE) -> str:
    """Return what is said to a person."""
    ran = ctl(scene, "why", address)
    assert (ran.status, ran.err) == (0, "")
    return ran.out


def asleep(scene: Scene, address: str = HERE, **options: Any) -> FakeDevice:
    device = scene.add(address, **options)
    scene.fall_asleep(device)
    return device


def declare(scene: Scene, expect: Expect = Expect.ASLEEP, policy: HostPolicy = LEFT_ALONE) -> None:
    scene.declare(Rule("nics", PciAddress.parse(HERE), Mode.ENTRY, expect=expect, policy=policy))


class TestAwake:
    def test_its_switch_reads_on(self, scene: Scene) -> None:
        nic = asleep(scene)
        scene.host.write_control(nic.address, "on")
        (reason, *_more) = why(scene)["awake"]
        assert reason["code"] == "control-on"
        assert reason["hint"].endswith(f"echo auto > /sys/bus/pci/devices/{HERE}/power/control")

    def test_its_switch_reads_on_as_declared(self, scene: Scene) -> None:
        nic = asleep(scene)
        scene.host.write_control(nic.address, "on")
        policy = HostPolicy(runtime_pm=Allowance.FORBID)
        scene.declare(Rule("nics", nic.address, Mode.NONE, policy=policy))
        (reason, *_more) = why(scene)["awake"]
        assert (reason["code"], reason["hint"].split(";")[0]) == ("control-on", "Leave it")

    def test_the_host_keeps_unopened_devices_awake_and_where_that_is_said(
        self, scene: Scene
    ) -> None:
        scene.add(HERE)
        scene.write("/etc/modprobe.d/vfio.conf", "# ours\noptions vfio-pci disable_idle_d3=1\n")
        scene.write("/etc/modprobe.d/other.conf", "options vfio-pci disable_idle_d3=0\n")
        (reason,) = why(scene)["awake"]
        assert reason["code"] == "disable-idle-d3"
        assert (
            "disable_idle_d3 is on (/etc/modprobe.d/vfio.conf:2 (modprobe.d))"
            in (reason["message"])
        )

    @pytest.mark.parametrize(
        ("kind", "words"),
        [
            (None, "Declare mode entry for it;"),
            (Kind.NO_REENTRY, "Declare mode entry-with-wakeup for it: it sleeps once"),
            (Kind.NO_HOLD, "It can sleep only unopened (quirk no-hold);"),
        ],
    )
    def test_the_host_keeps_it_awake_and_no_mode_is_advised_that_a_quirk_refuses(
        self, scene: Scene, kind: Optional[Kind], words: str
    ) -> None:
        nic = scene.add(HERE)
        if kind is not None:
            scene.known_bad = Loaded((Quirk(nic.address, kind, "it hangs", "ticket 12"),))
        (reason,) = why(scene)["awake"]
        assert reason["code"] == "disable-idle-d3"
        assert reason["hint"].startswith(words)

    def test_a_guest_under_libvirt_has_it(self, scene: Scene) -> None:
        nic = scene.add(HERE)
        scene.use(nic, 812, "qemu-system-x86", "web_1")
        (reason,) = why(scene)["awake"]
        assert reason["code"] == "in-use"
        assert "in use by qemu-system-x86 (pid 812, guest web_1)" in reason["message"]

    def test_nothing_of_a_command_line_is_told(self, scene: Scene) -> None:
        nic = scene.add(HERE)
        scene.use(nic, 812, "qemu-system-x86")
        secret = "hunter2"
        command = ["qemu", "-object", f"secret,data={secret}", "-name", "web", ""]
        (scene.folder / "proc/812/cmdline").write_text("\0".join(command))
        declare(scene)
        asked = (("why", HERE), ("why", HERE, "--json"), ("list",), ("list", "--json"))
        told = [ctl(scene, *words, COLUMNS="200").out for words in asked]
        assert all("guest web)" in text or '"guest": "web"' in text for text in told)
        assert not any(secret in text or "-object" in text for text in told)

    def test_without_root_it_is_not_said_that_nobody_has_it(self, scene: Scene) -> None:
        nic = scene.add(HERE)
        scene.use(nic, 812, "qemu-system-x86", "web")
        ran = ctl(scene, "why", HERE, root=False)
        assert "may be in use, which root alone can see" in ran.out
        assert "is not held" not in ran.out
        assert "qemu" not in ran.out

    def test_a_driver_left_its_power_management_off(self, scene: Scene) -> None:
        scene.add(HERE)
        status = scene.folder / f"host/sys/bus/pci/devices/{HERE}/power/runtime_status"
        status.write_text("unsupported\n")
        assert "runtime-pm-off" in codes(why(scene)["awake"])

    def test_a_driver_of_the_host_has_it(self, scene: Scene) -> None:
        scene.add(HERE, driver="e1000e")
        (_switch, reason) = why(scene)["awake"]
        assert reason["code"] == "host-driver"
        assert "on the driver e1000e" in reason["message"]

    def test_it_has_virtual_functions(self, scene: Scene) -> None:
        nic = scene.add(HERE)
        for number in range(2):
            (scene.folder / f"host/sys/bus/pci/devices/{HERE}/virtfn{number}").symlink_to("/")
        (reason, *_more) = why(scene)["awake"]
        assert reason["code"] == "virtual-functions"
        assert "has 2 virtual functions" in reason["message"]
        assert nic.function.resumes == 0

    def test_it_is_held_awake_as_declared(self, scene: Scene) -> None:
        nic = scene.add(HERE)
        scene.declare(Rule("spare", nic.address, Mode.NONE, reserve=True))
        scene.hold(nic)
        assert codes(why(scene)["awake"]) == ["reserved"]

    def test_it_was_woken_and_waits(self, scene: Scene) -> None:
        nic = scene.add(HERE)
        scene.declare(Rule("nics", nic.address, Mode.ENTRY_WITH_WAKEUP, expect=Expect.ASLEEP))
        scene.hold(nic, state="waiting", waiting_until=NOW + 5)
        assert codes(why(scene)["awake"]) == ["waiting"]

    def test_the_helper_waits_for_the_policy_that_is_declared(self, scene: Scene) -> None:
        nic = scene.add(HERE)
        declare(scene, policy=HostPolicy(d3cold=Allowance.FORBID))
        scene.hold(nic, engaged=Mode.NONE)
        assert codes(why(scene)["awake"]) == ["host-policy"]

    def test_where_nothing_is_found_that_is_said(self, scene: Scene) -> None:
        nic = scene.add(HERE)
        scene.hold(nic)
        (reason,) = why(scene)["awake"]
        assert reason["code"] == "unexplained"
        usage = scene.folder / f"host/sys/bus/pci/devices/{HERE}/power/runtime_usage"
        usage.write_text("1\n")
        (reason,) = why(scene)["awake"]
        assert reason["code"] == "kernel-use"

    def test_a_device_that_sleeps_is_not_explained_awake(self, scene: Scene) -> None:
        asleep(scene)
        told = why(scene)
        assert (told["awake"], told["not_deeper"], told["best"]) == ([], [], "D3cold")
        assert "  best       D3cold; nothing is in the way\n" in page(scene)


class TestNotDeeper:
    def test_a_sibling_without_a_driver_keeps_the_port_awake(self, scene: Scene) -> None:
        port = scene.host.add_port("0000:00:1c.0", sleeps=True)
        scene.add(BESIDE, driver=None, depth="D3hot", port=port)
        asleep(scene, depth="D3hot", port=port)
        told = why(scene)
        (reason,) = told["not_deeper"]
        assert (told["best"], reason["code"], reason["address"]) == (
            "D3cold",
            "sibling-awake",
            BESIDE,
        )
        assert "on no driver, its power/control reads on" in reason["message"]
        assert f"echo auto > /sys/bus/pci/devices/{BESIDE}/power/control" in reason["hint"]

    def test_a_sibling_that_must_not_go_there_keeps_the_port_awake(self, scene: Scene) -> None:
        port = scene.host.add_port("0000:00:1c.0", sleeps=True)
        beside = asleep(scene, BESIDE, depth="D3hot", port=port)
        scene.host.write_d3cold_allowed(beside.address, allowed=False)
        asleep(scene, depth="D3hot", port=port)
        assert codes(why(scene)["not_deeper"]) == ["sibling-d3cold-not-allowed"]

    def test_a_sibling_in_a_guest_is_told_with_the_guest(self, scene: Scene) -> None:
        port = scene.host.add_port("0000:00:1c.0", sleeps=True)
        beside = scene.add(BESIDE, depth="D3hot", port=port)
        nic = asleep(scene, depth="D3hot", port=port)
        scene.use(beside, 812, "qemu-system-x86", "web")
        scene.hold(nic, state="entry", engaged=Mode.ENTRY)
        (reason,) = why(scene)["not_deeper"]
        assert "in use by qemu-system-x86 (pid 812, guest web)" in reason["message"]

    def test_what_is_below_another_port_is_none_of_its_business(self, scene: Scene) -> None:
        asleep(scene, depth="D3hot", port=scene.host.add_port("0000:00:1c.0", sleeps=True))
        scene.add("0000:04:00.0", driver=None)
        assert why(scene)["not_deeper"] == []

    def test_a_port_without_a_power_resource_bounds_it(self, scene: Scene) -> None:
        asleep(scene, depth="D3hot", port=scene.host.add_port("0000:00:1c.0"))
        told = why(scene)
        assert (told["best"], codes(told["not_deeper"])) == ("D3hot", ["no-platform-power"])

    def test_a_port_for_hot_plug_is_kept_awake(self, scene: Scene) -> None:
        port = scene.host.add_port("0000:00:1c.0", sleeps=True, hotplug=True)
        asleep(scene, depth="D3hot", port=port)
        told = why(scene)
        (reason,) = told["not_deeper"]
        assert (told["best"], reason["code"], reason["address"]) == (
            "D3hot",
            "port-kept-awake",
            "0000:00:1c.0",
        )
        assert "cards can be plugged in below it" in reason["message"]
        assert told["ports"][0]["hotplug"]

    def test_the_slot_that_can_be_switched_makes_a_port_one_for_hot_plug(
        self, scene: Scene
    ) -> None:
        nic = asleep(scene, depth="D3hot", slot="7")
        switch = scene.folder / "host/sys/bus/pci/slots/7/power"
        assert not why(scene)["ports"][0]["hotplug"]
        switch.write_text("1\n")
        assert why(scene)["ports"][0]["hotplug"]
        assert nic.function.resumes == 0

    def test_a_port_that_was_told_to_stay_awake(self, scene: Scene) -> None:
        port = scene.host.add_port("0000:00:1c.0", sleeps=True)
        port.control = "on"
        port.on_change()
        asleep(scene, depth="D3hot", port=port)
        told = why(scene)
        assert (told["best"], codes(told["not_deeper"])) == ("D3cold", ["port-control-on"])

    def test_it_must_not_go_there(self, scene: Scene) -> None:
        nic = asleep(scene)
        scene.host.write_d3cold_allowed(nic.address, allowed=False)
        told = why(scene)
        (reason,) = told["not_deeper"]
        assert (told["best"], reason["code"]) == ("D3cold", "d3cold-not-allowed")
        assert f"d3cold_allowed of {HERE} reads 0" in reason["message"]

    def test_it_must_not_go_there_as_declared(self, scene: Scene) -> None:
        nic = asleep(scene)
        scene.host.write_d3cold_allowed(nic.address, allowed=False)
        declare(scene, policy=HostPolicy(d3cold=Allowance.FORBID))
        (reason,) = why(scene)["not_deeper"]
        assert reason["message"] == f"d3cold_allowed of {HERE} reads 0, as is declared"

    def test_awake_it_may_be_a_device_without_power_management(self, scene: Scene) -> None:
        nic = scene.add(HERE, resets=("flr",))
        scene.host.write_d3cold_allowed(nic.address, allowed=False)
        (reason,) = why(scene)["not_deeper"]
        assert "reads 0, as for a device without PCI power management" in reason["message"]

    def test_a_quirk_asks_for_that(self, scene: Scene) -> None:
        nic = asleep(scene)
        scene.host.write_d3cold_allowed(nic.address, allowed=False)
        quirk = Quirk(nic.address, Kind.NO_D3COLD, "it does not come back", "ticket 12")
        scene.known_bad = Loaded((quirk,))
        (reason,) = why(scene)["not_deeper"]
        assert "as its quirk asks (it does not come back, says ticket 12)" in reason["message"]
        assert reason["hint"].startswith("Leave it")
        assert "  quirk      no-d3cold: it does not come back, says ticket 12\n" in page(scene)

    def test_it_has_no_power_management(self, scene: Scene) -> None:
        asleep(scene, depth="D0")
        told = why(scene)
        assert (told["best"], codes(told["not_deeper"])) == ("D0", ["no-power-management"])


class TestOthers:
    def test_tlp_and_a_udev_rule_are_named_with_file_and_line(self, scene: Scene) -> None:
        nic = scene.add(HERE)
        scene.host.write_control(nic.address, "on")
        scene.write("/etc/tlp.conf", "# TLP\nRUNTIME_PM_ON_AC=on\n")
        scene.write(
            "/etc/udev/rules.d/80-nics.rules",
            'ACTION!="add", GOTO="end"\n'
            'SUBSYSTEM=="pci", ATTR{vendor}=="0x8086", ATTR{power/control}="on"\n'
            'SUBSYSTEM=="pci", ATTR{vendor}=="0x10de", ATTR{power/control}="auto"\n'
            'LABEL="end"\n',
        )
        text = page(scene)
        tlp = "/etc/tlp.conf:2 (TLP, whose service is not enabled) writes on to power/control"
        udev = "/etc/udev/rules.d/80-nics.rules:2 (udev) writes on to power/control"
        assert f"  others     {udev}\n             {tlp}\n" in text
        assert "80-nics.rules:3" not in text
        (reason, *_more) = why(scene)["awake"]
        assert "perhaps written by /etc/udev/rules.d/80-nics.rules:2 (udev)" in reason["message"]

    def test_who_writes_to_a_sibling_or_a_port_is_named_too(self, scene: Scene) -> None:
        port = scene.host.add_port("0000:00:1c.0", sleeps=True)
        beside = scene.add(BESIDE, depth="D3hot", port=port)
        scene.host.write_control(beside.address, "on")
        port.control = "on"
        port.on_change()
        asleep(scene, depth="D3hot", port=port)
        rules = "/etc/udev/rules.d/80-mine.rules"
        scene.write(
            rules,
            f'KERNEL=="{BESIDE}", ATTR{{power/control}}="on"\n'
            'KERNEL=="0000:00:1c.0", ATTR{power/control}="on"\n'
            'KERNELS=="0000:00:1c.0", ATTR{d3cold_allowed}="0"\n',
        )
        told = {it["code"]: it["message"] for it in why(scene)["not_deeper"]}
        assert f"(perhaps written by {rules}:1 (udev))" in told["sibling-awake"]
        assert f"(perhaps written by {rules}:2 (udev))" in told["port-control-on"]
        assert f"{rules}:3 (udev) writes 0 to d3cold_allowed" in page(scene), "below that port"

    def test_a_program_gets_them_with_the_host_too(self, scene: Scene) -> None:
        scene.add(HERE)
        scene.write("/etc/tlp.conf", "RUNTIME_PM_ON_AC=auto\n")
        scene.write("/proc/cmdline", "quiet vfio-pci.disable_idle_d3=1\n")
        found = ctl(scene, "list", "--json").json["host"]["rivals"]
        assert [(it["tool"], it["file"], it["line"], it["value"]) for it in found] == [
            ("TLP", "/etc/tlp.conf", 1, "auto"),
            ("kernel", "/proc/cmdline", 1, "1"),
        ]


class TestPage:
    def test_a_tree_leads_from_the_root_port_to_the_device(self, scene: Scene) -> None:
        port = scene.host.add_port("0000:00:1c.0", sleeps=True)
        scene.add(BESIDE, driver=None, depth="D3hot", port=port)
        nic = scene.add(HERE, "Intel Corporation 82574L", depth="D3hot", port=port)
        scene.fall_asleep(nic)
        assert page(scene) == dedent("""\
            0000:03:00.0  Intel Corporation 82574L
              reached    asleep D3hot
              best       D3cold
              not deeper 0000:03:00.1 below the same port is awake too, on no driver, its power/control reads on (sibling-awake)
                           To let it sleep: echo auto > /sys/bus/pci/devices/0000:03:00.1/power/control; or bind it to vfio-pci and declare it too
              tree       0000:00:1c.0  pcieport, active in D0, control auto, power can be cut
                         ├─ 0000:03:00.0  vfio-pci, suspended in D3hot, control auto
                         └─ 0000:03:00.1  no driver, active in D0, control on
        """)  # noqa: E501

    def test_looking_wakes_nothing(self, scene: Scene) -> None:
        port = scene.host.add_port("0000:00:1c.0", sleeps=True)
        cards = [asleep(scene, it, depth="D3hot", port=port) for it in (HERE, BESIDE)]
        assert port.suspended
        page(scene)
        why(scene)
        assert port.suspended
        assert [card.function.resumes for card in cards] == [0, 0]

    def test_nothing_is_opened_that_wakes_or_waits(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asleep(scene, slot="7")
        (scene.folder / "host/sys/bus/pci/slots/7/power").write_text("1\n")
        opened: list[str] = []
        for module, name in ((os, "open"), (builtins, "open")):
            real = getattr(module, name)

            def noting(path: object, *rest: Any, real: Any = real, **more: Any) -> Any:
                opened.append(str(path))
                return real(path, *rest, **more)

            monkeypatch.setattr(module, name, noting)
        page(scene)
        of_devices = {path.rpartition("/sys/")[2] for path in opened if "/sys/" in path}
        assert any(path.endswith("/power_state") for path in of_devices)
        names = {path.rpartition("/")[2] for path in of_devices}
        assert names <= SAFE, names - SAFE
        assert not [path for path in of_devices if "/slots/" in path and path.endswith("/power")]

    def test_check_exits_with_one_when_the_device_drifts(self, scene: Scene) -> None:
        asleep(scene)
        declare(scene)
        assert ctl(scene, "why", "--check", HERE).status == 1
        assert ctl(scene, "why", HERE).status == 0

    def test_what_differs_is_told_with_its_code_and_the_next_step(self, scene: Scene) -> None:
        asleep(scene)
        scene.write("/etc/tlp.conf", "RUNTIME_PM_ON_AC=auto\n")
        declare(scene)
        rows = page(scene).splitlines()
        start = next(index for index, row in enumerate(rows) if row.startswith("  drift  "))
        assert rows[start].endswith(" (mode-mismatch)")
        assert rows[start + 1].strip().startswith("Converge again")
        assert rows[start + 2].endswith(" (rival-policy)")

    def test_what_differs_on_the_host_is_told_as_well(self, scene: Scene) -> None:
        asleep(scene)
        scene.damaged = "declared.json is not JSON"
        told = page(scene)
        assert "  host       declared.json is not JSON (state-damaged)" in told
        assert "Converge again" in told

    def test_what_says_why_it_is_awake_is_not_told_twice(self, scene: Scene) -> None:
        nic = scene.add(HERE)
        scene.declare(Rule("nics", nic.address, Mode.ENTRY_WITH_WAKEUP, expect=Expect.ASLEEP))
        scene.hold(nic, state="waiting", waiting_until=NOW + 5)
        assert page(scene).count("(waiting)") == 1
        assert "  drift " not in page(scene)

    def test_a_device_that_is_gone_is_told_as_that_and_nothing_else(self, scene: Scene) -> None:
        nic = scene.add(HERE)
        declare(scene)
        scene.host.unplug(nic.address)
        headline, reached, missing, step = page(scene).splitlines()
        assert (headline, reached) == (HERE, "  reached    not on the bus")
        assert missing.endswith("is declared and not on the PCI bus (device-missing)")
        assert "state: absent" in step

    def test_an_address_without_a_device_is_refused(self, scene: Scene) -> None:
        assert ctl(scene, "why", "7f:00.0").status == 1


class TestDrift:
    def found(self, scene: Scene) -> dict[str, tuple[str, str]]:
        drift = ctl(scene, "why", HERE, "--json").json["drift"]
        return {it["code"]: (it["severity"], it["message"]) for it in drift}

    def hold(self, scene: Scene, nic: FakeDevice, expect: Expect = Expect.ASLEEP) -> None:
        declare(scene, expect)
        scene.hold(nic, state="entry", engaged=Mode.ENTRY, entered=NOW - 60)

    @pytest.mark.parametrize(
        ("expect", "severity"), [(Expect.ASLEEP, "info"), (Expect.D3COLD, "drift")]
    )
    def test_d3cold_that_is_blocked_is_told(
        self, scene: Scene, expect: Expect, severity: str
    ) -> None:
        nic = asleep(scene)
        scene.host.write_d3cold_allowed(nic.address, allowed=False)
        self.hold(scene, nic, expect)
        told = self.found(scene)
        assert told.keys() == {"d3cold-blocked"}
        assert told["d3cold-blocked"][0] == severity
        assert "d3cold_allowed of 0000:03:00.0 reads 0" in told["d3cold-blocked"][1]

    def test_d3cold_that_no_platform_offers_is_told_only_where_it_is_expected(
        self, scene: Scene
    ) -> None:
        nic = asleep(scene, depth="D3hot")
        self.hold(scene, nic)
        assert self.found(scene) == {}
        self.hold(scene, nic, Expect.D3COLD)
        assert self.found(scene)["d3cold-blocked"][0] == "drift"

    @pytest.mark.parametrize(
        ("expect", "told"), [(Expect.ANY, set()), (Expect.AWAKE, {"not-as-expected"})]
    )
    def test_d3cold_that_nobody_waits_for_is_not_told(
        self, scene: Scene, expect: Expect, told: set[str]
    ) -> None:
        nic = asleep(scene)
        scene.host.write_d3cold_allowed(nic.address, allowed=False)
        scene.declare(Rule("nics", nic.address, Mode.NONE, expect=expect))
        assert self.found(scene).keys() == told

    def test_a_rival_is_told_of_a_declared_device(self, scene: Scene) -> None:
        nic = asleep(scene)
        scene.write("/etc/tlp.conf", "RUNTIME_PM_ON_AC=on\n")
        assert self.found(scene) == {}
        self.hold(scene, nic)
        severity, message = self.found(scene)["rival-policy"]
        assert severity == "info"
        assert "/etc/tlp.conf:1" in message

    def test_a_hold_on_a_part_of_a_unit_is_told(self, scene: Scene) -> None:
        nic = asleep(scene)
        scene.add(BESIDE, group=nic.group)
        scene.add("0000:03:00.2", group=nic.group, driver=None)
        self.hold(scene, nic)
        severity, message = self.found(scene)["set-incomplete"]
        assert severity == "drift"
        assert f"is held without {BESIDE}, given" in message, "one without a driver does not count"
        rules = [
            Rule(name, PciAddress.parse(name), Mode.ENTRY, expect=Expect.ASLEEP)
            for name in (HERE, BESIDE)
        ]
        scene.declare(*rules)
        assert self.found(scene) == {}
