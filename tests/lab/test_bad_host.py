# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that cannot do what is asked: each says what is missing, where, and the next step.

And one that was asleep itself, which nobody can use for much else afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .conftest import OneLab
from .declared import DELAY, HELPER, WAKEUP, rule
from .managed import ManagedHost

LAB = {"shape": "small"}

# A kernel that was built without VFIO has neither its modules nor a node made for them.
HIDE_VFIO = "rm -r /lib/modules/$(uname -r)/kernel/drivers/vfio && depmod"


@pytest.fixture(scope="module")
def installed(host: ManagedHost) -> ManagedHost:
    host.converge(vfio_power_devices=[rule(host, "nic", mode="entry")], **HELPER)
    return host


@contextmanager
def moved_away(host: ManagedHost, path: str) -> Iterator[None]:
    host.lab.ssh(f"mv {path} {path}.away")
    try:
        yield
    finally:
        host.lab.ssh(f"mv {path}.away {path}")


@contextmanager
def nothing_stored(host: ManagedHost) -> Iterator[None]:
    """See that a block leaves the declaration as it was, and does not write it anew either."""
    files = "cd /var/lib/vfio-power && stat -c '%n %i %Y' declared.json* && cat declared.json*"
    before = host.lab.ssh(files).stdout
    yield
    assert host.lab.ssh(files).stdout == before


def refused(answer: dict) -> str:
    assert answer.get("failed"), answer
    return answer["msg"]


def test_a_stopped_helper_is_named_and_nothing_is_written(installed):
    installed.lab.ssh("systemctl stop vfio-powerd.socket vfio-powerd.service")
    with nothing_stored(installed):
        said = refused(installed.declare(rule(installed, "disk", mode="entry")))
    assert "systemctl" in said
    nic = installed.address("nic")
    listed = installed.ctl("list")  # what can be seen is shown all the same, so that is no failure
    assert nic in listed.stdout
    assert "helper-down" in listed.stdout
    assert installed.ctl("list --check", check=False).returncode == 1
    watching = installed.ctl("watch", check=False)
    assert watching.returncode == 3
    assert "systemctl start vfio-powerd.service" in watching.stderr
    for words in (f"release {nic} --holder x", f"reclaim {nic}"):
        asked = installed.ctl(words, check=False)
        assert asked.returncode == 3, words
        assert "role vfio.power.helper" in asked.stderr, words
    answer = installed.info()
    assert "helper-down" in {it["code"] for it in answer["drift"]}
    installed.lab.ssh("systemctl start vfio-powerd.socket vfio-powerd.service")
    installed.reaches("nic", "D3cold")


def test_a_helper_that_was_stopped_alone_is_not_started_by_those_who_look(installed):
    nic = installed.address("nic")
    installed.lab.ssh("systemctl stop vfio-powerd.service")
    try:
        for words in ("list", f"show {nic}", "watch", "version", "list --check"):
            told = installed.ctl(words, check=False)
            assert "systemctl start vfio-powerd.service" in told.stderr, words
        assert installed.info()["helper"]["running"] is False
        declared = rule(installed, "nic", mode="entry")
        predicted = installed.declare(declared, check=True, fail_on_drift=False)
        assert "Applying starts it" in predicted["beside"]
        played = installed.play("vfio.power.drift", vfio_power_devices=[declared])
        assert played.status != 0, played.output
        assert any("helper-down" in text for text in played.complaints)
        active = "systemctl show -P ActiveState vfio-powerd.socket vfio-powerd.service"
        assert installed.lab.ssh(active).stdout.split() == ["active", "inactive"]
        assert installed.openable("nic")
        assert not installed.declare(declared)["failed"]  # applying starts it
    finally:
        installed.lab.ssh("systemctl start vfio-powerd.service")
    installed.reaches("nic", "D3cold")


def test_a_helper_of_another_revision_is_refused(installed):
    version = "/usr/local/lib/vfio-power/current/vfio_power/words/version.py"
    installed.lab.ssh(f"cp {version} /root/version.py")
    installed.lab.ssh(f"sed -i 's/^API_REVISION = .*/API_REVISION = 99/' {version}")
    installed.lab.ssh("systemctl restart vfio-powerd.service")
    try:
        with nothing_stored(installed):
            said = refused(installed.declare(rule(installed, "disk", mode="entry")))
        assert "99" in said
        assert installed.openable("disk")
        assert "vfio.power.helper" in said
        assert "api-mismatch" in {it["code"] for it in installed.info()["drift"]}
    finally:
        installed.lab.ssh(f"cp /root/version.py {version}; systemctl restart vfio-powerd.service")
    installed.reaches("nic", "D3cold")


def test_without_pyudev_only_what_needs_it_is_refused(installed):
    with moved_away(installed, "/usr/lib/python3/dist-packages/pyudev"):
        by_label = {"name": "label", "match": {"property": {"X": "y"}}, "mode": "none"}
        with nothing_stored(installed):
            said = refused(installed.declare(by_label))
        assert "python3-pyudev" in said
        plain = installed.declare(rule(installed, "nic", mode="entry"))
        assert not plain.get("failed"), plain


def test_a_python_without_pyudev_leaves_it_to_the_distributions(installed):
    installed.lab.ssh("python3 -m venv --without-pip /root/bare")
    one_card = {"PCI_SLOT_NAME": installed.address("disk")}
    by_property = {"name": "it", "match": {"property": one_card}, "mode": "entry"}
    answer = installed.declare(by_property, check=True, python="/root/bare/bin/python3")
    assert not answer.get("failed"), answer
    assert {it["name"]: it["matched"] for it in answer["rules"]} == {"it": 1}


def test_without_root_nothing_is_declared(installed):
    installed.lab.ssh("id looker >/dev/null 2>&1 || useradd --create-home looker")
    with nothing_stored(installed):
        said = refused(installed.declare(rule(installed, "disk", mode="entry"), user="looker"))
    assert "become: true" in said
    assert installed.openable("disk")


def test_a_damaged_declaration_is_told_and_the_generation_before_is_used(installed):
    path = "/var/lib/vfio-power/declared.json"
    assert not installed.declare(rule(installed, "nic", mode="entry"), settle=10).get("failed")
    assert not installed.declare(rule(installed, "disk", mode="entry"), settle=10).get("failed")
    installed.lab.ssh("systemctl stop vfio-powerd.service")
    installed.lab.ssh(f"truncate -s 40 {path}")
    installed.lab.ssh("systemctl start vfio-powerd.service")
    installed.reaches("nic", "D3cold")
    damage = [it for it in installed.info()["drift"] if it["code"] == "state-damaged"]
    assert path in damage[0]["message"]
    answer = installed.declare(rule(installed, "nic", mode="entry"))
    assert not answer["drifted"], answer


def test_a_node_of_another_owner_is_named_with_its_owner(installed):
    assert not installed.declare(rule(installed, "nic", mode="none")).get("failed")
    node = installed.group_nodes("disk")["disk"]
    installed.lab.ssh(f"chown nobody {node}")
    try:
        answer = installed.declare(rule(installed, "disk", mode="entry"))
        assert answer["failed"]
        denied = [it for it in answer["drift"] if it["code"] == "node-denied"]
        assert node in denied[0]["message"]
        assert "nobody" in denied[0]["message"] or "65534" in denied[0]["message"]
    finally:
        installed.lab.ssh(f"chown root {node}")


def test_one_bad_device_does_not_hide_the_others(installed):
    installed.bind("rng", "virtio-pci")
    answer = installed.declare(
        rule(installed, "nic", mode="entry"),
        rule(installed, "rng", mode="entry"),
        {"name": "ghost", "address": "0000:7f:00.0", "mode": "entry"},
        settle=10,
    )
    assert answer["failed"]
    assert installed.held("nic")
    assert installed.power_state("nic") == "D3cold"
    codes = {it["address"]: it["drift"] for it in answer["devices"]}
    assert codes[installed.address("rng")] == ["not-bound"]
    assert codes["0000:7f:00.0"] == ["device-missing"]
    for address in (installed.address("rng"), "0000:7f:00.0"):
        assert address in answer["msg"]
    (hint,) = (it["hint"] for it in answer["drift"] if it["code"] == "not-bound")
    assert f"driverctl set-override {installed.address('rng')} vfio-pci" in hint
    installed.bind("rng")


def test_devices_sleep_on_when_the_host_was_suspended_to_memory(installed):
    cards = {"disk": WAKEUP, "rng": {"mode": "entry"}}
    declared = [rule(installed, card, **how) for card, how in cards.items()]
    assert not installed.declare(*declared, settle=10).get("failed")
    installed.lab.ssh("rtcwake --mode mem --seconds 3")
    slept = "journalctl --unit vfio-powerd --boot --grep 'the host slept' --no-pager"
    installed.lab.wait_for(
        lambda: installed.lab.ssh(slept, check=False).returncode == 0, 30, "the helper to look"
    )
    for card, state in {"disk": "D3cold", "rng": "D3hot"}.items():
        installed.reaches(card, state, seconds=DELAY + 20)
    assert installed.held(*cards)
    assert not installed.info()["drifted"]
    # QEMU has taken the network card out meanwhile; the host that boots next has it again.


class TestOtherBoots:
    """They boot the host with less than it needs, and nobody uses it after them."""

    @pytest.fixture(scope="class", autouse=True)
    def the_last_ones(self, one_lab: OneLab) -> Iterator[None]:
        yield
        one_lab.stop()

    def test_without_an_iommu_it_says_so(self, installed):
        installed.lab.restart(on_vfio=["nic"], command_line="intel_iommu=off")
        with nothing_stored(installed):
            said = refused(installed.declare(rule(installed, "disk", mode="entry")))
        assert "no IOMMU group" in said
        assert "intel_iommu=on" in said

    def test_without_vfio_pci_the_next_step_is_to_load_it(self, installed):
        installed.lab.ssh(HIDE_VFIO)
        installed.lab.restart(on_vfio=[], command_line="")
        with nothing_stored(installed):
            said = refused(installed.declare(rule(installed, "disk", mode="entry")))
        assert "neither /dev/vfio/vfio nor /dev/iommu" in said
        assert "modprobe vfio-pci" in said
        assert "IOMMU group" not in said, "that one is there"
        assert installed.info()["host"]["vfio"] is False
