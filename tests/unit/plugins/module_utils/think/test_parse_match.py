# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The properties a device can be chosen by, as YAML hands them over."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.parse import (
    parse_selectors,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import Match
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import InputError


def match_of(**keys):
    """Return the match that a mapping of properties becomes."""
    return parse_selectors([{"match": keys}], "devices")[0]


def refusal_of(**keys):
    """Return the one thing that is told about a match, less the place of the match."""
    with pytest.raises(InputError) as refused:
        match_of(**keys)
    (problem,) = refused.value.problems
    return problem.place.replace("devices[0].match", "", 1).lstrip("."), problem.message


@pytest.mark.parametrize(
    ("given", "field", "read"),
    [
        ({"vendor": ["10de", "1002"]}, "vendor", ("10de", "1002")),
        ({"vendor": ["10DE", "0x10de", "0X10DE"]}, "vendor", ("10de",)),
        ({"vendor": "10de"}, "vendor", ("10de",)),
        ({"device": ["2204"]}, "device", ("2204",)),
        ({"subsystem_vendor": ["1043"]}, "subsystem_vendor", ("1043",)),
        ({"subsystem_device": ["87B5"]}, "subsystem_device", ("87b5",)),
        ({"class": ["03", "0302", "0x020000"]}, "class_", ("03", "0302", "020000")),
        ({"driver": ["vfio-pci"]}, "driver", ("vfio-pci",)),
        ({"iommu_group": [7, "8"]}, "iommu_group", (7, 8)),
        ({"numa_node": [0, "1", -1]}, "numa_node", (0, 1, -1)),
        ({"slot": ["4", "0-1"]}, "slot", ("4", "0-1")),
        ({"boot_vga": False}, "boot_vga", False),
        ({"boot_vga": "yes"}, "boot_vga", True),
        ({"property": {"VFIO_POWER_LABEL": "gpu*"}}, "property", {"VFIO_POWER_LABEL": "gpu*"}),
    ],
)
def test_each_key_is_read_into_one_spelling(given, field, read):
    assert match_of(**given) == Match()._replace(**{field: read})


@pytest.mark.parametrize(
    ("key", "seen", "guesses"),
    [
        ("class", 194, ["'0302'", "'c2'"]),
        ("class", 128, ["'0200'"]),
        ("class", 8192, ["'020000'", "'8192'"]),
        ("class", 770, ["'0302'"]),
        ("vendor", 4318, ["'4318'", "'10de'"]),
        ("vendor", 8086, ["'8086'"]),
        ("vendor", 32902, ["'8086'"]),
        ("device", 2204, ["'2204'"]),
        ("vendor", 2460.0, []),
        ("vendor", -5, []),
    ],
)
def test_digits_that_yaml_took_for_a_number_want_quotes(key, seen, guesses):
    for given, place in ((seen, key), ([seen], f"{key}[0]")):
        where, message = refusal_of(**{key: given})
        assert where == place
        assert message.startswith(f"YAML read {seen} as a number, as it has no quotes;")
        assert "put quotes around the hexadecimal digits" in message
        assert all(guess in message for guess in guesses)


@pytest.mark.parametrize(
    ("key", "seen", "guess"),
    [("class", "194", "'0302'"), ("class", "128", "'0200'"), ("vendor", "32902", "'8086'")],
)
def test_digits_that_a_template_made_text_of_a_number_want_quotes_there(key, seen, guess):
    _where, message = refusal_of(**{key: seen})
    assert message.startswith(f"'{seen}' is not made of ")
    assert "put quotes around the hexadecimal digits there" in message
    assert guess in message


def test_text_of_the_right_width_is_taken_as_it_is():
    """Whether somebody typed 4318 or 0x10de nobody can tell; a count tells that nothing fits."""
    assert match_of(vendor="4318").vendor == ("4318",)


@pytest.mark.parametrize(
    ("given", "place", "message"),
    [
        ({"vendor": ["10d"]}, "vendor[0]", "'10d' is not made of 4 hexadecimal digits"),
        ({"vendor": ["10de1"]}, "vendor[0]", "'10de1' is not made of 4"),
        ({"vendor": ["nvda"]}, "vendor[0]", "'nvda' is not made of 4"),
        ({"vendor": ["0x"]}, "vendor[0]", "'0x' is not made of 4"),
        ({"vendor": "10de,1002"}, "vendor", "'10de,1002' is not made of 4"),
        ({"vendor": [None]}, "vendor[0]", "null is not made of 4"),
        ({"vendor": [["10de"]]}, "vendor[0]", "is not made of 4"),
        ({"class": ["030"]}, "class[0]", "'030' is not made of 2, 4 or 6 hexadecimal digits"),
        ({"class": ["03000000"]}, "class[0]", "2, 4 or 6"),
        ({"vendor": []}, "vendor", "the list is empty"),
        ({"driver": [""]}, "driver[0]", "'' is empty"),
        ({"driver": [True]}, "driver[0]", "true is not text"),
        ({"slot": 4}, "slot", "YAML read 4 as a number"),
        ({"iommu_group": [-1]}, "iommu_group[0]", "-1 is not a whole number of at least 0"),
        ({"numa_node": [-2]}, "numa_node[0]", "at least -1"),
        ({"numa_node": ["one"]}, "numa_node[0]", "'one' is not a whole number"),
        ({"boot_vga": "maybe"}, "boot_vga", "neither true nor false"),
        ({"property": "gpu"}, "property", "'gpu' is not a mapping of udev properties"),
        ({"property": {}}, "property", "{} is not a mapping of udev properties"),
        ({"property": {"A": 1}}, "property.A", "YAML read 1 as a number"),
        ({"property": {"A": True}}, "property.A", "true is not text; put quotes around text"),
        ({}, "", "the match is empty and would mean every device"),
        ({"vendor": None}, "vendor", "is null; leave the key out"),
        ({"vendor": None, "class": ["03"]}, "vendor", "is null; leave the key out"),
        ({"vender": ["10de"]}, "", "unknown key 'vender' (perhaps 'vendor'); known keys: vendor"),
    ],
)
def test_a_wrong_match_is_refused_with_its_place(given, place, message):
    where, told = refusal_of(**given)
    assert where == place
    assert message in told


def test_a_long_value_is_cut_in_the_message():
    _where, told = refusal_of(vendor=["f" * 500])
    assert len(told) < 120
