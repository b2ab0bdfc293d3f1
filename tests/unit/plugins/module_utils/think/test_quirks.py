# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Known-bad devices: which mode they are refused, and how rows are read."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.parse_values import (
    Problems,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.quirks import (
    SHIPPED,
    conflicts,
    forbidding,
    in_the_way,
    quirks_of,
    read_quirks,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import (
    Declaration,
    Known,
    Match,
    Rule,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import (
    Facts,
    Identity,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.quirk import Kind, Quirk

HERE = PciAddress.parse("0000:65:00.0")
GPU = Facts(HERE, Identity("10de", "2330", "10de", "16c1", "030200"))
AUDIO = Facts(HERE, Identity("10de", "22ba", "10de", "16c1", "040300"))
FRAGILE = Quirk(Match(vendor=("10de",)), Kind.NO_HOLD, "it does not survive resets", "us")


def test_display_controllers_of_nvidia_are_not_entered_again_by_themselves() -> None:
    assert [it.kind for it in quirks_of(GPU, SHIPPED)] == [Kind.NO_REENTRY]
    assert quirks_of(AUDIO, SHIPPED) == ()


@pytest.mark.parametrize(
    ("kind", "refused"),
    [
        (Kind.NO_HOLD, {Mode.ENTRY, Mode.ENTRY_WITH_WAKEUP}),
        (Kind.NO_REENTRY, {Mode.ENTRY}),
        (Kind.NO_D3COLD, set()),
    ],
)
def test_each_kind_forbids_its_modes(kind: Kind, refused: set[Mode]) -> None:
    quirk = FRAGILE._replace(kind=kind)
    assert {mode for mode in Mode if forbidding(GPU, mode, [quirk])} == refused


def test_a_conflict_names_rule_device_reason_source_and_what_to_do() -> None:
    declaration = Declaration((Rule("gpus", Match(class_=("03",)), Mode.ENTRY),))
    known = [Known(HERE, GPU.identity, "gpus")]
    (problem,) = conflicts(declaration, known, {HERE: GPU}, SHIPPED)
    assert problem.place == "devices (gpus).mode"
    for word in (str(HERE), "entry", "no-reentry", "guest driver", "cover letter", "declare none"):
        assert word in problem.message


def test_a_device_that_is_not_there_is_in_no_conflict() -> None:
    declaration = Declaration((Rule("gpus", HERE, Mode.ENTRY),))
    assert conflicts(declaration, [Known(HERE, None, "gpus")], {}, SHIPPED) == []


@pytest.mark.parametrize(("allowed", "kept"), [(False, False), (True, True), (None, True)])
def test_where_nobody_says_that_d3cold_is_out_the_device_stays_awake(
    allowed: Optional[bool], kept: bool
) -> None:
    quirk = FRAGILE._replace(kind=Kind.NO_D3COLD)
    for mode in (Mode.ENTRY, Mode.ENTRY_WITH_WAKEUP):
        told = in_the_way(GPU, mode, [quirk], spent=False, d3cold_allowed=lambda: allowed)
        assert (told is not None) is kept
    assert in_the_way(GPU, Mode.NONE, [quirk], spent=False, d3cold_allowed=lambda: True) is None


def test_a_device_without_the_quirk_is_not_asked_about_d3cold() -> None:
    def nobody_asks() -> bool:
        raise AssertionError

    way = in_the_way(GPU, Mode.ENTRY_WITH_WAKEUP, SHIPPED, spent=False, d3cold_allowed=nobody_asks)
    assert way is None


def test_rows_are_read_as_people_write_them() -> None:
    problems: Problems = []
    row = {
        "match": {"vendor": ["1002"], "class": ["0300"]},
        "quirk": "no-d3cold",
        "reason": "does not come back",
        "source": "our own tests",
    }
    (quirk,) = read_quirks([row], "quirks", problems)
    assert problems == []
    assert quirk.kind is Kind.NO_D3COLD
    assert quirk.selector == Match(vendor=("1002",), class_=("0300",))


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ("no", "quirks[0]"),
        ({}, "quirks[0]"),
        ({"match": {"vendor": [4318]}}, "quirks[0].match.vendor[0]"),
        ({"match": {"vendor": ["10de"]}, "quirk": "no-holding"}, "quirks[0].quirk"),
        ({"match": {"vendor": ["10de"]}, "quirk": "no-hold", "why": "x"}, "quirks[0]"),
        ({"match": {"vendor": ["10de"]}, "quirk": "no-hold"}, "quirks[0].reason"),
        ({"match": {"property": {"A": "b"}}, "quirk": "no-hold"}, "quirks[0].match.property"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_with_its_place(row: object, place: str) -> None:
    problems: Problems = []
    assert read_quirks([row], "quirks", problems) == ()
    assert place in [problem.place for problem in problems]
