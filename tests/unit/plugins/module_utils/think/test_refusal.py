# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error of the socket's interface becomes a sentence."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think import interface
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.refusal import refusal

EXAMPLES: dict[str, tuple[dict[str, Any], str]] = {
    "GenerationMismatch": (
        {"expected": 3, "actual": 4},
        "Somebody else changed the declaration meanwhile: generation 3 was expected, it is 4."
        " Run it again",
    ),
    "InputRefused": (
        {"problems": [{"place": "rules[0]", "message": "is wrong"}]},
        "rules[0]: is wrong",
    ),
    "LeaseHeld": (
        {"leases": [{"address": "0000:65:00.0", "holder": "web", "since": 1.0}]},
        "A lease is held of 0000:65:00.0 by web."
        " Reclaim it with its holder's name, once that one is done",
    ),
    "Timeout": (
        {
            "pending": [
                {"address": "0000:65:00.0", "call": "close", "since": 1.0, "seconds": 9.5},
                {"address": "0000:65:00.1", "call": "close", "since": 1.0, "seconds": None},
            ]
        },
        "The kernel did not come back in time from 0000:65:00.0 in close,"
        " what 0000:65:00.1 waits behind with its close."
        " Look at the kernel log of these devices; the call goes on",
    ),
    "Malformed": (
        {"reason": "the message is not JSON"},
        "The helper cannot read the request: the message is not JSON",
    ),
    "Failed": ({"message": "It broke", "hint": "Mend it"}, "It broke. Mend it"),
}


def test_there_is_an_example_of_each_error() -> None:
    assert set(EXAMPLES) == set(re.findall(r"^error (\w+)", interface.TEXT, re.MULTILINE))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_error_is_told_as_a_sentence(name: str) -> None:
    parameters, sentence = EXAMPLES[name]
    error = refusal(f"{interface.NAME}.{name}", parameters)
    assert str(error) == sentence
    assert error.name == name
    assert error.parameters == parameters


def test_of_a_release_that_takes_too_long_it_is_told_that_the_lease_stays() -> None:
    pending = {"address": "0000:65:00.0", "call": "close", "since": 1.0, "seconds": 9.5}
    error = refusal(f"{interface.NAME}.Timeout", {"pending": [pending], "holder": "web"})
    assert error.hint.endswith(
        "the lease of web stays. To end it: vfio-powerctl reclaim 0000:65:00.0 --holder web"
    )


@pytest.mark.parametrize("name", [*EXAMPLES, "MethodNotFound", "SomethingNew"])
def test_an_error_without_its_parameters_is_told_all_the_same(name: str) -> None:
    assert refusal(f"{interface.NAME}.{name}", {}).message
