# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is stored and what travels comes back as it was."""

from __future__ import annotations

import json

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.parse import (
    declaration_document,
    known_document,
    parse_declaration,
    parse_known,
    parse_request,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import (
    Declaration,
    Known,
    Match,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import InputError
from ansible_collections.vfio.power.tests.unit.plugins.module_utils.think.cards import GPU, at

EVERYTHING = Match(
    vendor=("10de",),
    device=("2204", "2206"),
    subsystem_vendor=("1043",),
    subsystem_device=("87b5",),
    class_=("03", "0403"),
    driver=("vfio-pci",),
    iommu_group=(7,),
    numa_node=(-1, 0),
    slot=("4",),
    boot_vga=False,
    property={"VFIO_POWER_LABEL": "gpu*"},
)
TASK = [
    {"address": "65:00.0", "mode": "entry"},
    {"address": "66:00.0", "mode": "none", "reserve": True, "name": "ours"},
    {"match": {"vendor": "10de"}, "mode": "entry-with-wakeup", "reentry": {"delay": "0.5"}},
    {"match": {"vendor": "1002"}, "mode": "entry-with-wakeup", "reentry": {"burst": 3}},
    {"match": {"class": "02"}, "mode": "none", "expect": "d3cold", "count": 0},
]


def declared():
    """Return a declaration with a bit of everything."""
    request = parse_request(TASK)
    return Declaration(request.entries, (at("67:00.0"), EVERYTHING), generation=12)


def travelled(document):
    """Return a document as it comes out of a file or a socket."""
    return json.loads(json.dumps(document))


def test_a_declaration_comes_back_as_it_was():
    assert parse_declaration(travelled(declaration_document(declared()))) == declared()


def test_the_empty_declaration_comes_back_as_it_was():
    assert parse_declaration(travelled(declaration_document(Declaration()))) == Declaration()


def test_a_stored_rule_can_be_pasted_into_a_task():
    document = travelled(declaration_document(declared()))
    request = parse_request(document["rules"], document["exclude"])
    assert request.entries == declared().rules
    assert request.exclude == declared().exclude


def test_a_stored_rule_spells_its_defaults_out():
    assert declaration_document(declared())["rules"][0] == {
        "name": "0000:65:00.0",
        "address": "0000:65:00.0",
        "mode": "entry",
        "reserve": False,
        "expect": "asleep",
    }


@pytest.mark.parametrize("identity", [GPU, None])
def test_a_known_device_comes_back_as_it_was(identity):
    known = Known(at("65:00.0"), identity, "gpus")
    assert parse_known(travelled(known_document(known))) == known


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"rules": None}, "rules: null is not a list"),
        ({"rules": {}}, "rules: {} is not a list"),
        ({"generation": None}, "generation: null is not a whole number"),
        ({"generation": -1}, "generation: -1 is not"),
        ({"later": 1}, "declaration: unknown key 'later'"),
        ({"rules": [{"address": "65:00.0", "state": "absent"}]}, "unknown key 'state'"),
        ({"rules": [{"address": "65:00.0"}]}, r"rules\[0\].mode: is missing"),
        ({"rules": [TASK[0], TASK[0]]}, r"is that of rules\[0\] already"),
        ({"exclude": [{"address": "65:00.0"}]}, "is in exclude too"),
    ],
)
def test_a_declaration_that_was_tampered_with_is_refused(damage, message):
    document = travelled(declaration_document(declared()))
    with pytest.raises(InputError, match=message):
        parse_declaration({**document, **damage})


@pytest.mark.parametrize("document", [None, [], "declaration", 5])
def test_what_is_no_declaration_at_all_is_refused(document):
    with pytest.raises(InputError, match=r"declaration: .* is not a mapping"):
        parse_declaration(document)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"address": "65"}, "device.address: '65' is not a PCI address"),
        ({"rule": None}, "device.rule: null is not text"),
        ({"identity": {"vendor": "10de"}}, "device.identity.device: null is not made of 4"),
        ({"identity": {**GPU._asdict(), "class_code": "03"}}, "class_code: '03' is not made of 6"),
        ({"serial": "1"}, "unknown key 'serial'"),
    ],
)
def test_a_known_device_that_was_tampered_with_is_refused(damage, message):
    document = travelled(known_document(Known(at("65:00.0"), GPU, "gpus")))
    with pytest.raises(InputError, match=message):
        parse_known({**document, **damage})
