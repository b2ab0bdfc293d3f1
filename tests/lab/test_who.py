# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who woke a device, by the kernel's own trace; and that looking is nobody who does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .declared import WAKEUP, main_rules, rule
from .managed import ManagedHost
from .watching import no_resumes, resumes

LAB = {"shape": "standard"}

BOTH = ("dual0", "dual1")
TRACEFS = "/sys/kernel/tracing"
INSTANCES = f"{TRACEFS}/instances"
UNIT = "watch-of-a-test"
OUTPUT = f"/root/{UNIT}"
TOLD_WITHIN = 20
"""Seconds from a wake to its line."""


class Watch:
    """A ``vfio-powerctl watch --who`` that runs on the host."""

    def __init__(self, host: ManagedHost) -> None:
        self._host = host

    def lines(self) -> list[str]:
        """What it has printed by now."""
        return str(self._host.lab.ssh(f"cat {OUTPUT}").stdout).splitlines()

    def wakes(self, card: str) -> list[dict[str, Any]]:
        """Who woke a device so far, each time that it was told to a program."""
        told = [json.loads(line) for line in self.lines()]
        ours = [it for it in told if it.get("address") == self._host.address(card)]
        return [it["woken_by"] for it in ours if it["event"].startswith("woken")]

    def waits_for(self, card: str, command: str) -> dict[str, Any]:
        """Wait until a wake of a device by a command is told; return who it was."""

        def found() -> list[dict[str, Any]]:
            return [it for it in self.wakes(card) if it["command"] == command]

        self._host.lab.wait_for(found, TOLD_WITHIN, f"{command} to be told of {card}")
        return found()[0]

    def signal(self, name: str) -> None:
        """Send it a signal, and wait for its end."""
        self._host.lab.ssh(f"systemctl kill -s {name} {UNIT}")
        self.ended()

    def ended(self) -> None:
        """Wait for its end."""
        gone = f"! systemctl is-active -q {UNIT}"
        self._host.lab.wait_for(
            lambda: self._host.lab.ssh(gone, check=False).returncode == 0, 20, "the watch to end"
        )


@contextmanager
def watching(host: ManagedHost, words: str = "--json") -> Iterator[Watch]:
    """Have somebody watch for the length of a block, who sees what happens from its start on."""
    command = f"/usr/local/sbin/vfio-powerctl watch --who {words}"
    host.lab.ssh(
        f": > {OUTPUT}; systemd-run --quiet --collect --unit {UNIT}"
        f" --property StandardOutput=file:{OUTPUT} {command}"
    )
    try:
        watch = Watch(host)
        host.lab.wait_for(watch.lines, 20, "the watch to begin")
        yield watch
    finally:
        host.lab.ssh(f"systemctl stop {UNIT} 2>/dev/null; rm -f {OUTPUT}", check=False)


def instances(host: ManagedHost) -> list[str]:
    """The tracing instances that there are on the host."""
    return str(host.lab.ssh(f"ls {INSTANCES}").stdout).split()


def pid_of(host: ManagedHost, command: str) -> int:
    """Run a command to its end; return the pid that it had."""
    return int(host.lab.ssh(f"sh -c 'echo $$; exec {command} >/dev/null'").stdout)


def test_a_wake_that_the_helper_tells_of_has_the_process(main: ManagedHost) -> None:
    with watching(main) as watch:
        pid = pid_of(main, f"lspci -s {main.address('nic')}")
        told = watch.waits_for("nic", "lspci")
    assert (told["kind"], told["pid"]) == ("process", pid)
    assert instances(main) == []


def test_a_wake_that_only_the_kernel_knows_of_has_it_as_well(main: ManagedHost) -> None:
    disk = main.address("disk")
    other = "/root/sensors-of-test"
    with watching(main) as watch:
        lspci = pid_of(main, f"lspci -s {disk}")
        assert watch.waits_for("disk", "lspci")["pid"] == lspci
        main.reaches("disk", "D3cold")
        main.lab.ssh(f"cp $(command -v setpci) {other}")
        sensors = pid_of(main, f"{other} -s {disk} 0.l")
        main.lab.ssh(f"rm {other}")
        assert watch.waits_for("disk", "sensors-of-test")["pid"] == sensors
        assert [it["command"] for it in watch.wakes("disk")] == ["lspci", "sensors-of-test"]
        assert watch.wakes("nic") == watch.wakes("rng") == []


def test_a_person_reads_it_at_the_end_of_the_line(main: ManagedHost) -> None:
    reader = "systemd-run --quiet --wait --collect --unit reader-of-a-test"
    with watching(main, "") as watch:
        main.lab.ssh(f"{reader} lspci -s {main.address('nic')}")
        main.lab.wait_for(lambda: "it was" in watch.lines()[-1], TOLD_WITHIN, "the line")
        line = watch.lines()[-1]
    assert "woken by somebody else; entering again at " in line
    who = line.rpartition("; ")[2]
    assert who.startswith("it was lspci (pid ")
    assert who.endswith(", reader-of-a-test.service)")
    assert "lspci -s" not in line, "how it was called is nobody's business"


def test_who_wakes_a_port_wakes_what_is_below_it(main: ManagedHost) -> None:
    dual = [rule(main, "dual0", **WAKEUP), rule(main, "dual1", mode="entry")]
    main.put_back([*main_rules(main), *dual])
    for card in (*BOTH, *main.ports(*BOTH)):
        main.reaches(card, "D3cold")
    with watching(main) as watch:
        pid = pid_of(main, f"lspci -s {main.address('dual1')}")
        assert {watch.waits_for(card, "lspci")["pid"] for card in BOTH} == {pid}


def test_our_own_work_is_told_as_ours(main: ManagedHost) -> None:
    with watching(main) as watch:
        main.ctl(f"release {main.address('disk')} --holder a-test")
        main.lab.wait_for(lambda: watch.wakes("disk"), TOLD_WITHIN, "the wake")
        assert {it["kind"] for it in watch.wakes("disk")} == {"own"}


def test_one_who_reads_all_the_time_is_one_line_with_a_number(main: ManagedHost) -> None:
    disk = main.address("disk")
    with watching(main, "") as watch:
        main.lab.ssh(f"for _time in 1 2 3 4 5; do setpci -s {disk} 0.l; sleep 0.3; done >/dev/null")
        main.lab.wait_for(lambda: "more times" in watch.lines()[-1], 30, "the number")
        told = [line for line in watch.lines() if f"{disk}  woken" in line]
    assert len(told) == 2, told
    assert "woken by setpci (pid " in told[0]


class TestNothingIsLeftBehind:
    @pytest.mark.parametrize("signal", ["TERM", "INT", "HUP"])
    def test_after_a_signal(self, main: ManagedHost, signal: str) -> None:
        with watching(main) as watch:
            assert len(instances(main)) == 1
            watch.signal(signal)
            assert instances(main) == []

    def test_after_the_end_of_the_helper(self, main: ManagedHost) -> None:
        with watching(main) as watch:
            main.lab.ssh("systemctl restart vfio-powerd.service")
            watch.ended()
            assert instances(main) == []

    def test_after_a_kill_and_the_next_watch(self, main: ManagedHost) -> None:
        with watching(main) as watch:
            watch.signal("KILL")
            (left,) = instances(main)
        with watching(main) as watch:
            (fresh,) = instances(main)
            assert fresh != left
        assert instances(main) == []

    def test_and_two_do_not_disturb_each_other(self, main: ManagedHost) -> None:
        with watching(main) as watch:
            second = main.lab.ssh("timeout -s INT 5 vfio-powerctl watch --who", check=False)
            assert main.address("nic") in second.stdout
            assert len(instances(main)) == 1
            pid_of(main, f"lspci -s {main.address('nic')}")
            watch.waits_for("nic", "lspci")


class TestRefusals:
    def test_of_somebody_who_is_not_root(self, main: ManagedHost) -> None:
        done = main.lab.ssh("runuser -u nobody -- vfio-powerctl watch --who", check=False)
        assert done.returncode == 1
        assert "Only root may trace the kernel. Become root, or watch without" in done.stderr

    def test_of_a_host_that_did_not_mount_it(self, main: ManagedHost) -> None:
        main.lab.ssh(f"umount {TRACEFS}")
        try:
            done = main.ctl("watch --who", check=False)
        finally:
            main.lab.ssh(f"mount -t tracefs tracefs {TRACEFS}")
        assert done.returncode == 1
        assert done.stdout == ""
        assert f"Mount it: mount -t tracefs tracefs {TRACEFS}" in done.stderr


class TestLooking:
    """What looks asks the kernel for no wake at all."""

    SLEEPERS = ("nic", "disk", "rng", *BOTH)

    @pytest.fixture
    def rules(self, main: ManagedHost) -> list[dict[str, Any]]:
        """What is declared, when all of it sleeps, and the port of two functions as well."""
        declared = [*main_rules(main), *(rule(main, card, **WAKEUP) for card in BOTH)]
        main.put_back(declared)
        for card in (*BOTH, *main.ports(*BOTH)):
            main.reaches(card, "D3cold")
        main.reaches("rng", "D3hot")
        return declared

    def test_the_count_is_not_blind(self, main: ManagedHost, rules: list[dict[str, Any]]) -> None:
        nic = main.address("nic")
        with resumes(main, "nic") as found:
            main.lab.ssh(f"lspci -s {nic}")
        assert [line for line in found if f"rpm_resume: {nic} " in line], found
        with resumes(main, "disk") as found:
            main.lab.ssh(f"lspci -s {nic}")
        assert found == []

    def test_the_command(self, main: ManagedHost, rules: list[dict[str, Any]]) -> None:
        with no_resumes(main, *self.SLEEPERS):
            main.ctl("list")
            for card in self.SLEEPERS:
                main.ctl(f"show {main.address(card)}")
                main.ctl(f"why {main.address(card)}")
            with watching(main):
                main.ctl("list --check --json")

    def test_the_modules(self, main: ManagedHost, rules: list[dict[str, Any]]) -> None:
        with no_resumes(main, *self.SLEEPERS):
            assert main.info()["summary"]["asleep"] == len(self.SLEEPERS)
            checked = main.module("low_power", check=True, devices=rules, purge=True)
            assert (checked["failed"], checked["changed"]) == (False, False)

    def test_a_prediction_of_changes(self, main: ManagedHost, rules: list[dict[str, Any]]) -> None:
        others = [it for it in rules if it["name"] not in ("nic", "disk")]
        changed = [
            rule(main, "nic", **WAKEUP, d3cold="forbid"),
            rule(main, "disk", mode="none", reserve=True),
        ]
        with no_resumes(main, *self.SLEEPERS):
            predicted = main.module(
                "low_power", check=True, devices=[*changed, *others], purge=True
            )
        told = {it["address"]: it["changed"] for it in predicted["devices"]}
        assert [told[main.address(card)] for card in ("nic", "disk", "rng")] == [True, True, False]

    @pytest.mark.parametrize("playbook", ["drift", "report"])
    def test_the_playbooks(
        self, main: ManagedHost, rules: list[dict[str, Any]], playbook: str
    ) -> None:
        with no_resumes(main, *self.SLEEPERS):
            played = main.play(f"vfio.power.{playbook}", vfio_power_devices=rules)
        assert played.status == 0, played.output
