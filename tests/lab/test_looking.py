# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking never touches: the command, low_power_info, check mode and the drift playbook.

All of it on a host whose devices sleep, a port with both functions below it among them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .declared import HELPER, WAKEUP, main_rules, rule
from .managed import ManagedHost
from .outside import VOID
from .watching import changed, sleeping_on, written

LAB = {"shape": "standard"}

BOTH = ("dual0", "dual1")
SLEEPERS = ("nic", "disk", "rng", *BOTH)


@pytest.fixture
def rules(main: ManagedHost) -> list[dict]:
    """What is declared: the main rules, and both functions of a card."""
    declared = main_rules(main) + [rule(main, card, **WAKEUP) for card in BOTH]
    main.put_back(declared)
    return declared


@pytest.fixture
def asleep(main: ManagedHost, rules: list[dict]) -> ManagedHost:
    """The host, when all that is to sleep sleeps."""
    for name in () if VOID else (*BOTH, *main.ports(*BOTH)):
        main.reaches(name, "D3cold")
    return main


@contextmanager
def untouched(host: ManagedHost) -> Iterator[None]:
    """Insist that a block wakes nothing, opens nothing, lets nothing go and writes no file."""
    files = written(host)
    with sleeping_on(host, *SLEEPERS) as asleep:
        assert set(host.ports(*BOTH)) <= asleep
        yield
    assert host.held(*SLEEPERS, "spare")
    assert host.openable("warm")
    assert changed(files, written(host)) == set()


def stand(rule: str | None, mode: str | None, held: bool, engaged: str) -> set[str]:
    """A device as a difference shows it, line by line."""
    told = {"rule": rule, "mode": mode, "held": held, "engaged": engaged}
    return {f"{json.dumps(key)}: {json.dumps(value)}" for key, value in told.items()}


def test_the_command_and_the_module_look_without_waking(asleep):
    with untouched(asleep):
        assert "5 asleep" in asleep.ctl("list").stdout
        for name in SLEEPERS:
            assert json.loads(asleep.ctl(f"show {asleep.address(name)} --json").stdout)["held"]
        answer = asleep.info()
        assert answer["summary"]["asleep"] == len(SLEEPERS)
        assert not answer["drifted"]


def test_check_and_diff_show_what_a_changed_playbook_would_do_and_touch_nothing(asleep, rules):
    at = asleep.address
    kept = [it for it in rules if it["name"] not in ("nic", "spare")]
    wanted = [rule(asleep, "nic", mode="entry"), *kept, rule(asleep, "warm", mode="entry")]
    with untouched(asleep):
        played = asleep.converge("--check", "--diff", vfio_power_devices=wanted, **HELPER)
    assert played.changed == 1, played.output
    told = played.differences
    devices = {name: told.pop(f"device {at(name)}") for name in ("nic", "spare", "warm")}
    assert set(told) == {"rule 'nic'", "rule 'spare'", "rule 'warm'"}
    gone, come = told["rule 'nic'"]
    assert '"mode": "entry-with-wakeup"' in gone
    assert '"mode": "entry"' in come
    gone, come = told["rule 'spare'"]
    assert '"reserve": true' in gone
    assert come == {"{}"}
    armed = stand("nic", "entry-with-wakeup", held=True, engaged="entry-with-wakeup")
    plain = stand("nic", "entry", held=True, engaged="entry")
    assert devices["nic"] == (armed - plain, plain - armed)
    kept_awake = stand("spare", "none", held=True, engaged="none")
    let_go = stand(None, None, held=False, engaged="none")
    assert devices["spare"] == (kept_awake - let_go, let_go - kept_awake)
    assert devices["warm"] == (let_go, stand("warm", "entry", held=True, engaged="entry"))


class TestDriftPlaybook:
    def test_a_host_as_declared_passes_and_sleeps_on(self, asleep, rules):
        with untouched(asleep):
            played = asleep.play("vfio.power.drift", vfio_power_devices=rules)
        assert played.status == 0, played.output
        assert played.changed == 0, played.output

    def test_a_device_that_is_not_as_declared_fails_it_by_name_code_and_next_step(
        self, main, rules
    ):
        spare = main.address("spare")
        main.bind("spare", "none")
        try:
            played = main.play("vfio.power.drift", vfio_power_devices=rules)
        finally:
            main.bind("spare")
        assert played.status == 2, played.output
        assert len(played.complaints) == 1, played.complaints
        told = played.complaints[0]
        assert told.startswith(f"not-bound: {spare} ")
        assert f"driverctl set-override {spare} vfio-pci" in told

    def test_other_variables_fail_it_before_anybody_converges(self, main, rules):
        wanted = [rule(main, "nic", mode="entry"), *rules[1:]]
        played = main.play("vfio.power.drift", vfio_power_devices=wanted)
        assert played.status == 2, played.output
        assert len(played.complaints) == 1, played.complaints
        told = f"The playbook vfio.power.converge would change {main.address('nic')}."
        assert played.complaints[0].startswith(told)

    def test_a_host_that_cannot_be_reached_fails_and_the_other_is_looked_at(
        self, main, rules, tmp_path: Path
    ):
        inventory = tmp_path / "more.json"
        gone = {"ansible_host": "127.0.0.1", "ansible_port": 1}
        inventory.write_text(json.dumps({"all": {"hosts": {"gone": gone}}}))
        played = main.play("vfio.power.drift", "-i", str(inventory), vfio_power_devices=rules)
        assert played.status != 0, played.output
        assert len(played.complaints) == 1, played.complaints
        assert played.complaints[0].startswith("gone could not be reached")
        recap = {line.split()[0]: line for line in played.output.splitlines() if "failed=" in line}
        assert "failed=1" in recap["gone"]
        assert "failed=0" in recap["lab"]
