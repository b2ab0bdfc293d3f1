# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A nightly look at several hosts, as a pipeline runs it: one as declared, one not, one off."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import jsonschema
import pytest
import xmlschema

from .conftest import REPOSITORY
from .connection import free_port
from .declared import HELPER, WAKEUP, main_rules, rule
from .host import Lab
from .managed import ManagedHost, Played
from .progress import Progress
from .watching import sleeping_on

LAB = {"shape": "standard"}

FORMATS = {"vfio_power_report_formats": ["html", "json", "junit"]}
OF_FLEET = {"vfio_power_hosts": "fleet"}


class Fleet(NamedTuple):
    """Three hosts in one inventory: ``good`` and ``other`` run, ``off`` does not."""

    good: ManagedHost
    other: ManagedHost
    inventory: Path

    def play(self, playbook: str, *words: str, **variables: Any) -> Played:
        given = ("-i", str(self.inventory), *words)
        return self.good.play(playbook, *given, **OF_FLEET, **variables)

    @property
    def written(self) -> Path:
        """Where the report is: in the folder that playbooks are run in."""
        return self.good.lab.folder / "vfio-power-report"

    def report(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.written / "report.json").read_text())
        return told


@pytest.fixture(scope="module")
def fleet(converged: ManagedHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    converged.put_back(main_rules(converged))
    with Lab.start(shape="small", progress=Progress()) as second:
        other = ManagedHost(second, converged.collections)
        good, theirs = (it.lab.connection.ansible_variables() for it in (converged, other))
        rules = [rule(other, "nic", **WAKEUP), rule(other, "disk", mode="entry")]
        hosts = {
            "good": {**good, "vfio_power_devices": main_rules(converged)},
            "other": {**theirs, "vfio_power_devices": rules},
            # No shared connection, which would lead to the other host whatever the port.
            "off": {**theirs, "ansible_port": free_port(), "ansible_ssh_args": "-F none"},
        }
        group = {"hosts": hosts, "vars": HELPER}
        inventory = tmp_path_factory.mktemp("fleet") / "fleet.yml"
        inventory.write_text(json.dumps({"fleet": group}))
        running = Fleet(converged, other, inventory)
        played = running.play("vfio.power.converge", "--limit", "other")
        assert played.status == 0, played.output
        yield running


def test_the_pipeline_tells_the_drifting_host_and_the_one_that_is_off(fleet: Fleet) -> None:
    nic = fleet.other.address("nic")
    control = f"/sys/bus/pci/devices/{nic}/power/control"
    fleet.other.reaches("disk", "D3cold")
    for card in ("nic", "disk"):
        fleet.good.reaches(card, "D3cold")
    fleet.other.write(control, "on")
    with sleeping_on(fleet.good, "nic", "disk"), sleeping_on(fleet.other, "disk"):
        played = fleet.play("vfio.power.drift", **FORMATS)

    assert played.status == 2, played.output
    failed = " ".join(played.complaints)
    assert f"runtime-pm-forbidden: {nic}" in failed
    assert f"echo auto > {control}" in failed
    assert "off could not be reached" in failed
    assert len(played.complaints) == 2
    assert f'"{nic}  entry-with-wakeup  D0  ' in played.output, "the table of the devices"
    for recap in (r"good .* failed=0 ", r"other .* failed=1 ", r"off .* failed=1 "):
        assert re.search(f"^{recap}", played.output, re.MULTILINE), played.output

    report = fleet.report()
    told = {host["name"]: host for host in report["hosts"]}
    status = {name: host["status"] for name, host in told.items()}
    assert status == {"good": "as-declared", "other": "drift", "off": "unknown"}
    assert report["status"] == "drift"
    differing = [it for it in told["other"]["devices"] if it["drift"]]
    assert [it["address"] for it in differing] == [nic]
    page = (fleet.written / "report.html").read_text()
    assert all(name in page for name in ("good", "other", "off", nic))

    jsonschema.validate(report, json.loads((REPOSITORY / "docs/report.schema.json").read_text()))
    xmlschema.XMLSchema(REPOSITORY / "tests/report/junit.xsd").validate(fleet.written / "junit.xml")
    suites = ElementTree.parse(fleet.written / "junit.xml").getroot()
    trouble = {
        suite.get("name"): sum(int(suite.get(it, "0")) for it in ("failures", "errors"))
        for suite in suites.iter("testsuite")
    }
    assert trouble == {"good": 0, "other": 1, "off": 1}


def test_it_is_content_when_the_hint_was_followed(fleet: Fleet) -> None:
    fleet.other.write(f"/sys/bus/pci/devices/{fleet.other.address('nic')}/power/control", "auto")
    fleet.other.reaches("nic", "D3cold")
    played = fleet.play("vfio.power.drift", "--limit", "good:other", **FORMATS)
    assert played.status == 0, played.output
    assert fleet.report()["status"] == "as-declared"
    assert {it["name"] for it in fleet.report()["hosts"]} == {"good", "other"}
