# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be written so that the host's policy is as declared, and what to remember of before.

What was found is remembered before it is overwritten, and written back once nobody declares
anything in its place. A device that is away is left to the rules for udev.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Optional

from ..words.address import PciAddress
from ..words.allowance import D3COLD, KNOBS, Allowance, HostPolicy, Knob
from ..words.declaration import Declaration, Known
from ..words.facts import Facts, Identity


class Found(NamedTuple):
    """How a card's policy was before the first write of ours."""

    address: PciAddress
    identity: Identity
    policy: HostPolicy


class Write(NamedTuple):
    """One attribute of one device, and what it is to read."""

    address: PciAddress
    knob: Knob
    value: str


class Outlook(NamedTuple):
    """What is to be done about the policy of a host; nothing of it was done yet."""

    writes: tuple[Write, ...] = ()
    remembered: tuple[Found, ...] = ()  # from before the writes until they are done
    found: tuple[Found, ...] = ()  # from then on
    rules: str = ""  # for udev; empty: no file

    @property
    def addresses(self) -> list[PciAddress]:
        """Return the devices that are written to."""
        return list(dict.fromkeys(write.address for write in self.writes))

    def policy(self, address: PciAddress, now: HostPolicy) -> HostPolicy:
        """Return what a device's policy is once it is written to."""
        written = {it.knob.option: it.knob.meaning(it.value) for it in self.of(address)}
        return now._replace(**written)

    def options(self) -> dict[PciAddress, tuple[str, ...]]:
        """Return what is written to each device, by the names of the options."""
        return {it: tuple(write.knob.option for write in self.of(it)) for it in self.addresses}

    def of(self, address: PciAddress) -> tuple[Write, ...]:
        """Return what is written to a device."""
        return tuple(write for write in self.writes if write.address == address)


def outlook(
    declaration: Declaration,
    known: Iterable[Known],
    devices: Mapping[PciAddress, Facts],
    seen: Mapping[PciAddress, HostPolicy],
    found: Iterable[Found],
) -> Outlook:
    """Compare what is declared with what is ``seen``; ``found`` is what is remembered so far."""
    entries = {entry.address: entry for entry in known}
    before = {it.address: it for it in found}
    writes: list[Write] = []
    remembered, left = [], []
    for address in sorted({*entries, *before}):
        card = _Card(entries.get(address), before.get(address), devices.get(address), declaration)
        now = seen.get(address, HostPolicy())
        writes += card.writes(now)
        kept, past = card.kept(now), card.before
        if kept != HostPolicy() and card.identity:
            left.append(Found(address, card.identity, kept))
        both = HostPolicy(*(mine or theirs for mine, theirs in zip(kept, past)))
        if both != HostPolicy() and card.identity:
            remembered.append(Found(address, card.identity, both))
    rules = udev_rules(declaration, entries.values())
    return Outlook(tuple(writes), tuple(remembered), tuple(left), rules)


class _Card:
    """One card: what is declared of it, how it was found, and whether it is there."""

    def __init__(
        self,
        entry: Optional[Known],
        before: Optional[Found],
        facts: Optional[Facts],
        declaration: Declaration,
    ) -> None:
        rule = declaration.rule(entry.rule) if entry else None
        declared = entry.identity if entry else None
        self.identity = declared or (before.identity if before else None)
        same = before is not None and before.identity == self.identity
        self.before = before.policy if before and same else HostPolicy()
        self.declared = rule.policy if rule and declared else HostPolicy()
        there = facts is not None and facts.identity == self.identity
        self._facts = facts if there else None

    def writes(self, now: HostPolicy) -> Iterator[Write]:
        """Yield what differs from what is declared, or was found before something was."""
        for knob in KNOBS:
            declared, before = knob.of(self.declared), knob.of(self.before)
            wanted = declared or before
            if self._facts is None or wanted is None or wanted is knob.of(now):
                continue
            if self._facts.vfio or (declared is None and knob is D3COLD):
                yield Write(self._facts.address, knob, knob.value(wanted))

    def kept(self, now: HostPolicy) -> HostPolicy:
        """Return how it was before what is declared was written, or is going to be."""
        values = {}
        for knob in KNOBS:
            if knob.of(self.declared) is None:
                continue
            values[knob.option] = knob.of(self.before) or self._found(knob, now)
        return HostPolicy(**values)

    def _found(self, knob: Knob, now: HostPolicy) -> Optional[Allowance]:
        """Return how a knob is, or is going to be, before udev writes what is declared.

        The kernel allows both: D3cold when a card comes to the bus, sleep when VFIO gets it.
        """
        if self._facts is not None and (self._facts.vfio or knob is D3COLD):
            return knob.of(now)
        return Allowance.ALLOW


_TOP = """\
# Written by the module vfio.power.low_power; changes made here are overwritten.
# The declared policy of the cards, for when they come to the bus or to a driver. Only what differs
# is written: any write wakes a card.
"""
_CONDITIONS = ("vendor", "device", "subsystem_vendor", "subsystem_device")


def udev_rules(declaration: Declaration, known: Iterable[Known]) -> str:
    """Return the rules by which udev keeps the policy of the declared cards; empty for none."""
    lines: list[str] = []
    for entry in sorted(known):
        rule = declaration.rule(entry.rule)
        if rule is not None and entry.identity is not None:
            lines += _lines(entry.address, entry.identity, rule.policy)
    return _TOP + "".join(f"{line}\n" for line in lines) if lines else ""


def _lines(address: PciAddress, identity: Identity, policy: HostPolicy) -> Iterator[str]:
    """Yield a line for each attribute; another card at the address is not meant."""
    conditions = ['ACTION=="add|bind"', 'SUBSYSTEM=="pci"', f'KERNEL=="{address}"']
    conditions += [f'ATTR{{{name}}}=="0x{getattr(identity, name)}"' for name in _CONDITIONS]
    conditions.append(f'ATTR{{class}}=="0x{identity.class_code}"')
    for knob in KNOBS:
        wanted = knob.of(policy)
        if wanted is None:
            continue
        value, other = knob.value(wanted), {knob.allow: knob.forbid, knob.forbid: knob.allow}
        # A driver that is bound or taken away sets power/control: it is of use on a VFIO driver.
        bound = [] if knob is D3COLD else ['TEST=="vfio-dev"']
        differs = f'ATTR{{{knob.attribute}}}=="{other[value]}"'
        yield ", ".join([*conditions, *bound, differs, f'ATTR{{{knob.attribute}}}="{value}"'])
