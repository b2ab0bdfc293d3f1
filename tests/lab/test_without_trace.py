# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removal: what the collection brought to a host is gone, and its devices are as found."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from . import packages
from .conftest import FRESH, OneLab
from .declared import HELPER, WAKEUP, main_rules, rule
from .guests import guest
from .managed import ManagedHost
from .watching import everything

LAB = {"shape": "standard", FRESH: True}

MODULE = "python3 -I -c 'import pyudev'"


@pytest.fixture(scope="module", autouse=True)
def removed(one_lab: OneLab) -> Iterator[None]:
    """Let whoever comes next know that there is no helper any more."""
    yield
    one_lab.converged = False


def test_removal_lets_all_go_and_leaves_nothing(main: ManagedHost, one_lab: OneLab):
    warm = rule(main, "nic", **WAKEUP, d3cold="forbid")
    others = [it for it in main_rules(main) if it["name"] != "nic"]
    assert not main.declare(warm, *others, settle=15).get("failed")
    allowed = f"cat /sys/bus/pci/devices/{main.address('nic')}/d3cold_allowed"
    assert main.lab.ssh(allowed).stdout == "0\n"
    assert main.held("nic", "disk", "rng", "spare")
    assert one_lab.as_found, "this lab was not seen before the helper came"
    played = main.play("vfio.power.remove", vfio_power_hosts="lab")
    assert played.status == 0, played.output
    assert everything(main) == one_lab.as_found
    assert main.lab.ssh(allowed).stdout == "1\n", "the host's policy is as it was found"
    assert main.lab.ssh("ls -d /run/vfio-power", check=False).returncode
    main.lab.ssh(MODULE)  # a package stays: others may use it by now
    units = main.lab.ssh("systemctl list-unit-files 'vfio-power*' --no-legend", check=False)
    assert units.stdout == ""
    explained = main.lab.ssh("journalctl --dump-catalog").stdout
    assert "Defined-By: systemd" in explained
    assert "vfio" not in explained
    cards = ("nic", "disk", "rng", "spare")
    assert main.openable(*cards)
    assert {it.power_state for it in main.seen(*cards).values()} == {"D0"}
    with guest(main, "nic"):
        took = main.unbind("disk")
    main.probe("disk")
    assert took < 1, f"the unbind took {took:.1f} s"
    again = main.play("vfio.power.remove", vfio_power_hosts="lab")
    assert again.status == 0, again.output
    assert again.changed == 0


def test_removal_of_a_helper_that_failed_leaves_no_failed_unit(host: ManagedHost, one_lab: OneLab):
    host.converge(vfio_power_devices=main_rules(host), **HELPER)
    folder = "/run/systemd/system/vfio-powerd.service.d"
    fails = "[Service]\nExecStart=\nExecStart=/bin/false\nRestart=no\n"
    host.lab.ssh(f"mkdir -p {folder}; cat > {folder}/fails.conf", input=fails)
    try:
        host.lab.ssh("systemctl daemon-reload")
        assert host.lab.ssh("systemctl restart vfio-powerd", check=False).returncode
    finally:
        host.lab.ssh(f"rm -r {folder}")
    state = "systemctl show -P ActiveState vfio-powerd.service"
    assert host.lab.ssh(state).stdout.strip() == "failed"
    played = host.play("vfio.power.remove", vfio_power_hosts="lab")
    assert played.status == 0, played.output
    assert host.lab.ssh(state).stdout.strip() == "inactive"
    assert everything(host) == one_lab.as_found


@contextmanager
def without_pyudev(host: ManagedHost, folder: Path) -> Iterator[None]:
    """Take the package away for a block, and have apt find it in a folder of the host alone."""
    (deb,) = packages.download(("python3-pyudev",), "trixie", folder)
    fields = subprocess.run(["dpkg-deb", "-f", deb], capture_output=True, text=True, check=True)
    content = deb.read_bytes()
    about = {
        "Filename": f"./{deb.name}",
        "Size": len(content),
        "SHA256": sha256(content).hexdigest(),
    }
    index = fields.stdout.rstrip() + "".join(f"\n{name}: {it}" for name, it in about.items()) + "\n"
    host.lab.ssh("mkdir -p /root/packages && cat > /root/packages/Packages", input=index)
    host.lab.put(str(deb), "/root/packages/")
    sources = "/etc/apt/sources.list.d/here.list"
    only = f"-o Dir::Etc::sourcelist={sources} -o Dir::Etc::sourceparts=-"
    host.lab.ssh(
        f"echo 'deb [trusted=yes] file:/root/packages ./' > {sources}; apt-get {only} update"
        " && dpkg --purge --force-depends python3-pyudev"
    )
    try:
        yield
    finally:
        host.lab.ssh(f"apt-get install -y python3-pyudev; rm -r {sources} /root/packages")


@pytest.mark.soak  # it wants Debian's mirror
def test_the_role_installs_what_the_helper_imports(host: ManagedHost, tmp_path: Path):
    wanted = {"vfio_power_devices": main_rules(host), **HELPER}
    with without_pyudev(host, tmp_path):
        assert host.lab.ssh(MODULE, check=False).returncode
        predicted = host.play("vfio.power.converge", "--check", **wanted)
        assert predicted.status == 0, predicted.output
        assert host.lab.ssh(MODULE, check=False).returncode, "check mode installed a package"
        host.converge(**wanted)
        host.lab.ssh(MODULE)
        assert host.held("nic", "disk")
        assert host.converge(**wanted).changed == 0
        assert host.play("vfio.power.remove", vfio_power_hosts="lab").status == 0


def test_removal_wants_its_hosts_named(host: ManagedHost):
    played = host.play("vfio.power.remove")
    assert played.status != 0
    assert "vfio_power_hosts" in played.output
