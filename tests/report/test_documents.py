# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON and JUnit by their schemas, which others go by."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonschema
import pytest
import xmlschema

from .conftest import nasty

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    """What the published schema accepts."""
    schema = json.loads((ROOT / "docs/report.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture
def report(folder: Path) -> dict[str, object]:
    """A report as it is on disk."""
    return dict(json.loads((folder / "report.json").read_text()))


def test_the_json_is_what_its_schema_says(validator, report):
    assert [error.message for error in validator.iter_errors(report)] == []
    assert len(report["hosts"]) == 120 + len(nasty())


@pytest.mark.parametrize("change", ["extra", "lost", "other"])
def test_the_schema_refuses_what_is_no_report(validator, report, change):
    broken = copy.deepcopy(report)
    host = broken["hosts"][0]
    if change == "extra":
        host["devices"][0]["cmdline"] = "qemu -object secret"
    elif change == "lost":
        del host["status"]
    else:
        host["status"] = "fine"
    assert list(validator.iter_errors(broken))


def test_every_optional_key_of_a_device_comes_in_some_report(validator, report):
    known = validator.schema["$defs"]["device"]["properties"]
    met = {name for host in report["hosts"] for device in host["devices"] for name in device}
    assert met >= set(known) - {"reserve", "quarantined"}


def test_the_junit_is_what_pipelines_read(folder: Path):
    xmlschema.XMLSchema(ROOT / "tests/report/junit.xsd").validate(folder / "junit.xml")
