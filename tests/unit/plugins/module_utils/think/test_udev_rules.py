# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lines of udev rules write to a device, and which only look as if they did."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.udev_rules import (
    Card,
    writes,
)
from ansible_collections.vfio.power.tests.unit.plugins.module_utils.think.cards import (
    BRIDGE,
    GPU,
    at,
    card,
)

CARD = card("65:00.0", GPU, port=at("00:03.1"))
PORT = card("00:03.1", BRIDGE, driver="pcieport", vfio=False, bridge=True)
ON = 'ATTR{power/control}="on"'
WRITTEN = [(1, "power/control", "on")]


def written(rule, properties=None):
    return writes(rule, Card(CARD, properties or {}, (PORT,)))


@pytest.mark.parametrize(
    "condition",
    [
        "",
        'SUBSYSTEM=="pci", ATTR{vendor}=="0x10de", ',
        'ATTR{vendor}=="0x1002|0x10de", ATTR{class}=="0x03*", ',
        'ATTR{device}!="0x9999", ',
        'KERNEL=="0000:65:00.?", ',
        'KERNELS=="0000:00:03.1", SUBSYSTEMS=="pci", ',
        'KERNELS=="pci0000:00", ',
        'ATTRS{vendor}=="0x8086", DRIVERS=="pcieport", ',
        'ATTRS{vendor}!="0x8086", ',
        'ACTION=="add|change", ',
        'ACTION=="bind", DRIVER=="vfio-pci", ',
        'TEST=="power/control", ',
        'PROGRAM=="/bin/whatever", RESULT=="yes", ',
        'ENV{WANTED}=="1", ',
        'ENV{UNWANTED}!="1", ',
    ],
)
def test_a_line_counts_unless_a_condition_surely_fails(condition):
    assert written(condition + ON, {"WANTED": "1"}) == WRITTEN


@pytest.mark.parametrize(
    "condition",
    [
        'SUBSYSTEM=="usb"',
        'SUBSYSTEMS=="usb"',
        'ATTR{vendor}=="0x1002"',
        'ATTR{vendor}!="0x10de"',
        'ATTRS{class}=="0x02*"',
        'KERNEL=="0000:66:*"',
        'KERNELS=="0000:66:00.0"',
        'DRIVER=="nouveau|nvidia"',
        'ACTION=="remove"',
        'ENV{ID_AUTOSUSPEND}=="1"',
        'TEST=="power/control", ATTR{vendor}=="0x1002"',
    ],
)
def test_a_condition_that_fails_takes_the_line_out(condition):
    assert written(f"{condition}, {ON}") == []


@pytest.mark.parametrize(
    "line",
    [
        f"# {ON}",
        'ATTR{power/control}=="on", ENV{SEEN}="1"',
        'ATTR{power/wakeup}="enabled"',
        'RUN+="/usr/bin/logger power"',
        "",
    ],
)
def test_what_writes_nothing_is_not_told(line):
    assert written(line) == []


@pytest.mark.parametrize(
    ("line", "attribute", "value"),
    [
        ('ATTR{d3cold_allowed}="0"', "d3cold_allowed", "0"),
        ('ATTR{power/control}:="auto"', "power/control", "auto"),
        (
            "RUN+=\"/bin/sh -c 'echo on > /sys$devpath/power/control'\"",
            "power/control",
            "on",
        ),
        ('RUN+="/opt/set-policy d3cold_allowed"', "d3cold_allowed", ""),
    ],
)
def test_every_way_to_write_is_known(line, attribute, value):
    assert written(line) == [(1, attribute, value)]


def test_jumps_lead_past_lines():
    rules = f"""
SUBSYSTEM!="pci", GOTO="end"
ATTR{{vendor}}=="0x10de", GOTO="ours"
{ON}
LABEL="ours"
ATTR{{d3cold_allowed}}="0"
LABEL="end"
"""
    assert written(rules) == [(6, "d3cold_allowed", "0")]


def test_a_jump_on_what_nobody_knows_is_not_taken():
    rules = f'TEST!="/run/whatever", GOTO="end"\n{ON}\nLABEL="end"\n'
    assert written(rules) == [(2, "power/control", "on")]


def test_a_guard_against_other_actions_is_met_by_some_event():
    rules = f'ACTION!="add", GOTO="end"\n{ON}\nLABEL="end"\n'
    assert written(rules) == [(2, "power/control", "on")]


def test_a_line_that_goes_on_is_told_where_it_begins():
    rules = f'# one\nSUBSYSTEM=="pci", \\\n  ATTR{{vendor}}=="0x10de", \\\n  {ON}\n{ON}\n'
    assert written(rules) == [(2, "power/control", "on"), (5, "power/control", "on")]


def test_several_writes_of_a_line_are_all_told():
    both = f'{ON}, ATTR{{d3cold_allowed}}="1"'
    assert written(both) == [(1, "d3cold_allowed", "1"), (1, "power/control", "on")]
