# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an entry of the journal says for programs, and that each is explained and documented."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think import entries
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.entries import (
    OF_DEVICES,
    OF_THE_HELPER,
    fields_of,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import Rule
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    Failure,
    HoldReport,
    Quarantined,
)
from ansible_collections.vfio.power.tests.unit.plugins.module_utils.think.cards import at

COLLECTION = Path(entries.__file__).parents[4]
CATALOG = COLLECTION / "roles/helper/files/vfio-powerd.catalog"
NAMES = {entries.ERROR: "error", entries.WARNING: "warning"}
NAMES.update({entries.NOTICE: "notice", entries.INFO: "info"})

RULE = Rule("gpus", at("65:00.0"), Mode.ENTRY)
REPORT = HoldReport(
    at("65:00.0"),
    failure=Failure("kernel-refused", "no", operation="open", errno="EPERM"),
    quarantined=Quarantined("power-error", "did not come back", 0.0),
)


def test_every_entry_has_an_id_of_its_own():
    ids = [entry.message_id for entry in [*OF_DEVICES.values(), *OF_THE_HELPER.values()]]
    assert len(set(ids)) == len(ids)
    assert all(UUID(it).hex == it and UUID(it).version == 4 for it in ids)


def test_the_catalog_explains_each_entry_and_no_other():
    texts = dict(re.findall(r"^-- (\w{32})\n(.*?)(?=^-- |\Z)", CATALOG.read_text(), re.M | re.S))
    devices = {entry.message_id for entry in OF_DEVICES.values()}
    assert texts.keys() == devices | {entry.message_id for entry in OF_THE_HELPER.values()}
    for message_id, text in texts.items():
        assert re.match(r"Subject: \S.+\nDefined-By: vfio\.power\nDocumentation: .+\n\n\S", text)
        # Of the fields in a text it is known that the entry has them.
        named = set(re.findall(r"@(\w+)@", text))
        assert named == ({"VFIO_PCI_ADDRESS"} if message_id in devices else set())


def test_the_page_lists_each_entry_with_its_priority():
    page = (COLLECTION / "docs/journal.md").read_text()
    listed = re.findall(r"^\| `([\w-]+)` \| `(\w{32})` \| (\w+) \|", page, re.M)
    known = {**OF_DEVICES, **OF_THE_HELPER}.items()
    assert listed == [(event, it.message_id, NAMES[it.priority]) for event, it in known]


def test_an_entry_names_device_rule_and_mode():
    assert fields_of("stuck", REPORT, RULE) == {
        "VFIO_PCI_ADDRESS": "0000:65:00.0",
        "VFIO_RULE": "gpus",
        "VFIO_MODE": "entry",
    }
    assert fields_of("stuck", REPORT, None) == {"VFIO_PCI_ADDRESS": "0000:65:00.0"}


@pytest.mark.parametrize(
    ("event", "more"),
    [
        (
            "refused",
            {"VFIO_CODE": "kernel-refused", "VFIO_OPERATION": "open", "VFIO_ERRNO": "EPERM"},
        ),
        ("quarantined", {"VFIO_CODE": "power-error"}),
    ],
)
def test_what_went_wrong_is_told_in_the_words_of_drift(event, more):
    assert fields_of(event, REPORT, None) == {"VFIO_PCI_ADDRESS": "0000:65:00.0", **more}
    assert "VFIO_CODE" not in fields_of(event, HoldReport(at("65:00.0")), None)
