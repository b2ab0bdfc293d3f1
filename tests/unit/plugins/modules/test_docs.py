# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation shows is what the program says, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils import _module
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.drift import (
    CODES,
    Case,
    judge,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import (
    Match,
    Rule,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import (
    Facts,
    Identity,
    Power,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Expect, Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import HoldReport

from .documented import COLLECTION, returned_by

PAGES = sorted(
    page for where in ("*.md", "docs/**/*.md", "roles/*/*.md") for page in COLLECTION.glob(where)
)
PROGRAM = Path(_module.__file__).parent / "vfio_power"
DRIFT_PAGE = COLLECTION / "docs" / "drift.md"
ENTRY = re.compile(r"^### `([a-z0-9-]+)`\n\n(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")

GPU = PciAddress.parse("0000:65:00.0")
A_GPU = Facts(GPU, Identity("10de", "2204", "1043", "87b5", "030200"), "vfio-pci", vfio=True)
GPUS = Rule("gpus", Match(), Mode.ENTRY_WITH_WAKEUP, expect=Expect.ASLEEP)
ENGAGED = HoldReport(GPU, "gpus", "entry-with-wakeup", held=True, engaged=Mode.ENTRY_WITH_WAKEUP)

AWAKE = Case(GPU, GPUS, None, A_GPU, Power("D0", "active", "auto"), ENGAGED, now=60.0)
NOT_BOUND = AWAKE._replace(facts=A_GPU._replace(driver="nvidia", vfio=False), hold=None)


@pytest.mark.parametrize(("module", "case"), [("low_power", AWAKE), ("low_power_info", NOT_BOUND)])
def test_the_drift_that_is_shown_as_a_sample_is_what_the_program_says(module, case):
    documented = returned_by(module)["drift"]["contains"]
    sample = {name: value["sample"] for name, value in documented.items()}
    (told,) = judge(case)
    assert sample == {"address": str(GPU), **told._asdict()}


def entries():
    """Return the text of each code's entry in the page on drift."""
    return dict(ENTRY.findall(DRIFT_PAGE.read_text(encoding="utf-8")))


def test_every_code_of_drift_has_an_entry_and_no_other():
    assert set(entries()) == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_an_entry_says_severity_cause_how_to_see_it_and_what_to_do(code):
    text = entries()[code]
    assert re.match(rf"\*{CODES[code]}\.\* \S", text)
    assert re.search(r"^- \*\*See it:\*\* \S", text, re.MULTILINE)
    assert re.search(r"^- \*\*Do:\*\* \S", text, re.MULTILINE)


@pytest.mark.parametrize("module", ["low_power", "low_power_info"])
def test_the_modules_document_every_code_with_its_severity(module):
    told = {}
    for text in returned_by(module)["drift"]["contains"]["code"]["description"][1:]:
        severity, *codes = re.findall(r"V\(([a-z0-9-]+)\)", text)
        told.update(dict.fromkeys(codes, severity))
    assert told == CODES


def test_every_reason_why_has_a_row_and_no_other():
    said = re.compile(r"\b_?[Rr]eason\(\s*\"([a-z0-9-]+)\"")
    files = ("why_awake", "why_not_deeper")
    texts = [(PROGRAM / "think" / f"{name}.py").read_text(encoding="utf-8") for name in files]
    _codes, _section, why = DRIFT_PAGE.read_text(encoding="utf-8").partition("### Why awake")
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| \S.* \| \S.* \|$", why, re.MULTILINE)
    assert sorted(rows) == sorted(code for text in texts for code in said.findall(text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(COLLECTION)))
def test_every_link_to_a_file_leads_to_one(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]
