# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a host: guests come first, devices are unbound, boots renumber the buses."""

from __future__ import annotations

import json
import time

from .declared import DELAY, GRACE, QUIET, REBIND, WAKEUP, main_rules, rule
from .dying import uptime
from .guests import guest, start_guest, stop_guest

LAB = {"shape": "standard"}

# A guest opens its devices as soon as it is told that they were let go.
RELEASED_AND_OPENED = """
import os, subprocess, sys, time
nodes, *addresses = sys.argv[1:]
began = time.monotonic()
subprocess.run(["vfio-powerctl", "release", *addresses, "--holder", "x"], check=True)
for node in nodes.split():
    os.close(os.open(node, os.O_RDWR))
print(time.monotonic() - began)
"""

UNBOUND_WITHIN = 1.0
"""Seconds in which somebody who takes the driver away has his shell back. It takes 0.1 s."""


class TestGuests:
    def test_a_released_device_starts_in_a_guest_and_is_back_asleep_after_reclaim(self, main):
        address = main.address("nic")
        answer = json.loads(main.ctl(f"release {address} --holder demo/guest --json").stdout)
        assert answer
        assert main.openable("nic")
        with guest(main, "nic"):
            assert main.codes("nic") == {"leased": "excused"}
            assert not main.declare(*main_rules(main)).get("failed")
            assert main.held_by("nic") == {"qemu-system-x86"}
        main.ctl(f"reclaim {address} --holder demo/guest")
        main.reaches("nic", "D3cold")
        assert main.held("nic")

    def test_release_is_bounded_and_also_takes_devices_that_are_not_held(self, main):
        cards = [main.address(card) for card in ("nic", "warm", "edu")]
        nodes = " ".join(main.group_nodes("nic", "warm").values())
        words = f"'{nodes}' {' '.join(cards)}"
        told = main.lab.ssh(f"python3 -I - {words}", input=RELEASED_AND_OPENED).stdout
        assert float(told.split()[-1]) < 10
        main.ctl(f"reclaim {' '.join(cards)}")
        main.reaches("nic", "D3cold")
        assert main.held("nic")

    def test_one_holder_never_ends_the_lease_of_another(self, main):
        address = main.address("nic")
        main.ctl(f"release {address} --holder first")
        main.ctl(f"release {address} --holder second")
        main.ctl(f"reclaim {address} --holder second")
        assert main.openable("nic")
        refused = main.ctl(f"reclaim {address} --holder second", check=False)
        assert refused.returncode == 1
        assert "first" in refused.stderr
        main.ctl(f"reclaim {address}")
        main.reaches("nic", "D3cold")
        assert main.held("nic")

    def test_a_lease_with_an_end_ends_and_the_device_is_retaken_after_the_quiet_time(self, main):
        main.ctl(f"release {main.address('nic')} --holder short --ttl 1")
        assert main.openable("nic")
        main.reaches("nic", "D3cold", seconds=1 + QUIET + 15)
        assert main.held("nic")

    def test_a_guest_that_already_runs_is_excused_and_never_disturbed(self, main):
        assert not main.declare(rule(main, "disk", mode="entry")).get("failed")
        with guest(main, "nic"):
            answer = main.declare(*main_rules(main))
            assert not answer.get("failed"), answer
            told = {it["address"]: it for it in answer["devices"]}
            assert told[main.address("nic")]["drift"] == ["busy"]
            (busy,) = answer["drift"]
            assert busy["severity"] == "excused"
            assert "qemu-system-x86" in busy["message"]
            assert main.held_by("nic") == {"qemu-system-x86"}
        main.ctl(f"reclaim {main.address('nic')}")
        main.reaches("nic", "D3cold")
        assert main.held("nic")


class TestQuirks:
    def test_a_card_that_is_entered_once_stays_awake_after_a_wake_until_it_is_rearmed(self, main):
        address = main.address("nic")
        row = {"address": address, "quirk": "no-reentry", "reason": "a test", "source": "the lab"}
        file = "/etc/vfio-power/quirks.d/90-lab.json"
        main.lab.ssh(f"mkdir -p {file.rpartition('/')[0]}; echo '{json.dumps([row])}' > {file}")
        try:
            main.lab.ssh("systemctl restart vfio-powerd")
            assert main.power_state("nic") == "D3cold", "a restart moves no device"
            main.lab.ssh(f"head -c 64 /sys/bus/pci/devices/{address}/config > /dev/null")
            main.reaches("nic", "D0")
            main.lab.ssh("systemctl restart vfio-powerd")
            assert main.codes("nic") == {"awake-by-quirk": "excused"}
            main.ctl(f"rearm {address}")
            main.reaches("nic", "D3cold")
            refused = main.declare(rule(main, "nic", mode="entry"))
            assert refused["failed"]
            assert "a test, says the lab" in refused["msg"]
        finally:
            main.lab.ssh(f"rm -rf {file.rpartition('/')[0].rpartition('/')[0]}")
            main.lab.ssh("systemctl restart vfio-powerd")


class TestBinding:
    def test_an_unbind_returns_at_once_and_after_a_bind_the_device_is_held_again(self, main):
        assert main.held("nic")
        took = main.unbind("nic")
        try:
            assert took < UNBOUND_WITHIN
            assert main.codes("nic") == {"not-bound": "drift"}
        finally:
            bound = time.monotonic()
            main.probe("nic")
        assert main.openable("nic"), "a guest gets its chance first"
        main.reaches("nic", "D3cold", seconds=REBIND + 15)
        assert time.monotonic() - bound > 0.9 * REBIND
        assert main.held("nic")

    def test_unbinding_one_function_lets_its_whole_group_go(self, main):
        both = [rule(main, card, **WAKEUP) for card in ("dual0", "dual1")]
        assert not main.declare(*both, settle=15).get("failed")
        assert main.held("dual0", "dual1")
        took = main.unbind("dual0")
        try:
            assert took < UNBOUND_WITHIN
            assert main.openable("dual1")
        finally:
            main.probe("dual0")
        main.reaches("dual1", "D3cold", seconds=REBIND + DELAY + 20)
        assert main.held("dual0", "dual1")


class TestBoots:
    def test_after_a_reboot_devices_are_held_again_without_ansible(self, main):
        main.lab.reboot()
        main.lab.wait_for(lambda: uptime(main) > GRACE - 2, 60, "most of the grace to be over")
        assert main.openable("nic"), "a guest gets its chance first"
        names = ["nic", "disk", "rng"]
        for name in names:
            main.reaches(name, "D3hot" if name == "rng" else "D3cold", seconds=GRACE + 30)
        assert main.held(*names, "spare")
        assert not main.info()["drifted"]

    def test_a_guest_that_starts_first_after_a_boot_has_its_device(self, main):
        main.lab.reboot()
        with guest(main, "nic"):
            main.reaches("disk", "D3cold", seconds=GRACE + 30)
            assert main.held_by("nic") == {"qemu-system-x86"}
            assert main.codes("nic") == {"busy": "excused"}

    def test_an_added_card_that_shifts_the_buses_is_not_taken_for_the_declared_one(self, main):
        declared = {card: main.address(card) for card in ("nic", "disk", "rng", "spare")}
        main.lab.restart(shape="shifted")
        try:
            here = {address: card for card, address in main.lab.devices.items()}
            strangers = [here[address] for address in declared.values()]

            def over() -> bool:
                assert main.openable(*strangers), "a stranger was taken"
                return uptime(main) > GRACE + 5

            main.lab.wait_for(over, 60, "the grace to be over")
            for card, address in declared.items():
                stranger = here[address]
                assert stranger != card, "the buses did not shift"
                assert main.codes(address) == {"identity-changed": "drift"}
                assert main.openable(stranger), f"{stranger} was taken for {card}"
        finally:
            main.lab.restart(shape="standard")
        main.reaches("nic", "D3cold", seconds=GRACE + 30)
        assert main.held("nic")


def test_a_device_that_qemu_cannot_have_says_why(main):
    complaint = start_guest(main, "nic")
    if not complaint:
        stop_guest(main)
    assert "busy" in complaint.lower()
