# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cards for the tests of the thinking layer: a name or two, and the rest is an ordinary GPU."""

from __future__ import annotations

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import (
    PciAddress,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import (
    Facts,
    Identity,
)

GPU = Identity("10de", "2204", "1043", "87b5", "030000")
AUDIO = Identity("10de", "1aef", "1043", "87b5", "040300")
BRIDGE = Identity("8086", "a33e", "8086", "7270", "060400")
NIC = Identity("8086", "10d3", "8086", "a01f", "020000")


def at(text):
    """Return an address."""
    return PciAddress.parse(text)


def card(address, identity=GPU, **facts):
    """Return a card; it is on vfio-pci unless a driver is named."""
    told = {"driver": "vfio-pci", "vfio": "driver" not in facts, **facts}
    return Facts(at(address), identity, **told)


def bus(*cards):
    """Return devices by address, as a look at sysfs does."""
    return {facts.address: facts for facts in cards}
