# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in two inventory groups, each with devices of its own: the role merges what both say.

Seen with the oldest and with the newest ansible-core that this machine can run.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .declared import HELPER, WAKEUP, rule
from .managed import BIN, ManagedHost

LAB = {"shape": "standard"}

NICS = {"vendor": ["8086"], "class": ["0200"]}

OLDEST = "VFIO_POWER_OLDEST_ANSIBLE"


@pytest.fixture(params=["newest", "oldest"])
def on_core(request: pytest.FixtureRequest, main: ManagedHost) -> ManagedHost:
    """The main host, managed by one of the two."""
    assert request.param == "newest" or OLDEST in os.environ, f"{OLDEST} names its programs"
    programs = BIN if request.param == "newest" else Path(os.environ[OLDEST])
    return ManagedHost(main.lab, main.collections, programs)


def test_the_rules_of_both_groups_are_declared(on_core: ManagedHost, tmp_path: Path):
    groups = {
        "storage": {"vfio_power_devices__storage": [rule(on_core, "disk", mode="entry")]},
        "network": {
            "vfio_power_devices__network": [{"name": "nics", "match": NICS, **WAKEUP}],
            "vfio_power_exclude__network": [{"address": on_core.address("spare")}],
        },
    }
    children = {name: {"hosts": {"lab": {}}, "vars": own} for name, own in groups.items()}
    inventory = tmp_path / "groups.json"
    inventory.write_text(json.dumps({"all": {"children": children}}))
    assert on_core.held("spare")
    first = on_core.converge("-i", str(inventory), **HELPER)
    assert first.changed == 1, first.output
    assert on_core.held("disk", "nic", "warm")
    assert on_core.openable("rng"), "no longer declared"
    assert on_core.openable("spare"), "one group's rule matches it, and the exclusion wins"
    again = on_core.converge("-i", str(inventory), **HELPER)
    assert again.changed == 0, again.output
