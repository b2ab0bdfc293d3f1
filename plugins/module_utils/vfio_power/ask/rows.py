# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task answers: plain values for Ansible, made from two pictures of the host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Optional

from ..think.documents import rule_document, selector_document
from ..touch.view import DeviceView, HostView
from ..words.address import PciAddress
from ..words.allowance import KNOBS, HostPolicy
from ..words.declaration import Declaration, Rule
from ..words.mode import Mode
from ..words.report import Drift, HoldReport
from .answer import Document, drift_rows

FAILURES = ("unsupported", "kernel-refused", "node-denied")


class Stand(NamedTuple):
    """How a device stands: what is declared of it, and what the helper has of it."""

    rule: Optional[Rule] = None
    held: bool = False
    engaged: Mode = Mode.NONE
    policy: HostPolicy = HostPolicy()

    @classmethod
    def of(cls, rule: Optional[Rule], view: DeviceView) -> Stand:
        """Take it from a picture; nobody holds what the helper does not report."""
        hold = view.hold or HoldReport(view.address)
        return cls(rule, hold.held, hold.engaged, view.policy)

    def document(self) -> Document:
        """Return it with the host's policy, as it was seen."""
        return {
            **self.summary(),
            **{knob.option: knob.said(self.policy) for knob in KNOBS},
        }

    def summary(self) -> Document:
        """Return it as a task shows each device."""
        return {
            "rule": self.rule.name if self.rule else None,
            "mode": self.rule.mode.value if self.rule else None,
            "held": self.held,
            "engaged": self.engaged.value,
        }


class Row(NamedTuple):
    """One device of the answer."""

    view: DeviceView
    before: Stand
    after: Stand
    actions: tuple[str, ...] = ()
    error: Optional[str] = None
    drift: tuple[Drift, ...] = ()

    @property
    def changed(self) -> bool:
        """Tell whether anything was done to the device, or is declared otherwise than before."""
        return bool(self.actions) or self.before.rule != self.after.rule

    def document(self) -> Document:
        """Return the device as a task shows it."""
        power = self.view.power
        after = self.after.document()
        return {
            "address": str(self.view.address),
            "model": model_of(self.view),
            **self.after.summary(),
            "power_state": power.power_state if power else None,
            "runtime_status": power.runtime_status if power else None,
            "capability": self._capability(),
            "changed": self.changed,
            "before": self.before.document(),
            "after": after,
            "error": self.error,
            "drift": [drift.code for drift in self.drift],
        }

    def drift_rows(self) -> list[Document]:
        """Return what the device adds to the task's list of drift."""
        return drift_rows(self.view.address, self.drift)

    def _capability(self) -> str:
        hold = self.view.hold
        if hold and hold.failure and hold.failure.code == "unsupported":
            return "unsupported"
        engaged = hold.engaged if hold else Mode.NONE
        if engaged is Mode.NONE or engaged is not self.after.engaged:
            return "unknown"
        return "supported"


def model_of(view: DeviceView) -> Optional[str]:
    """Return what the device is: its name where udev knows it, else its IDs."""
    if view.facts and view.facts.model:
        return view.facts.model
    identity = view.facts.identity if view.facts else view.known and view.known.identity
    return f"{identity.vendor}:{identity.device}" if identity else None


def error_of(view: DeviceView) -> Optional[str]:
    """Return why a device could not be brought to what is declared, or None."""
    wrong = (*FAILURES, "not-bound") if _is_named_on_a_host_driver(view) else FAILURES
    return next((sentence(drift) for drift in view.drift if drift.code in wrong), None)


def _is_named_on_a_host_driver(view: DeviceView) -> bool:
    """Tell a mistake from a chance: a rule with its address, and the host uses the device."""
    named = view.rule is not None and isinstance(view.rule.selector, PciAddress)
    return named and view.facts is not None and view.facts.driver is not None


def sentence(drift: Drift) -> str:
    """Return the message and the next step."""
    return ". ".join(filter(None, (drift.message.rstrip("."), drift.hint.rstrip(".")))) + "."


def rule_rows(declaration: Declaration, view: Optional[HostView]) -> list[Document]:
    """Return every rule with the number of its devices; null where nobody counted."""
    return [
        {"name": rule.name, "matched": view.matched.get(rule.name, 0) if view else None}
        for rule in declaration.rules
    ]


def passed_over_rows(view: HostView) -> list[Document]:
    """Return the devices that a rule would fit and that a driver of the host has."""
    return [{**item._asdict(), "address": str(item.address)} for item in view.passed_over]


def unlisted_rows(
    declaration: Declaration, listed: Iterable[str], view: Optional[HostView]
) -> list[Document]:
    """Return the rules that this task did not name, with their devices."""
    devices: Mapping[str, list[PciAddress]] = _by_rule(view)
    return [
        {"name": rule.name, "devices": [str(it) for it in devices.get(rule.name, [])]}
        for rule in declaration.rules
        if rule.name not in set(listed)
    ]


def differences(before: Declaration, after: Declaration, rows: Iterable[Row]) -> list[Document]:
    """Return a diff for each rule that changes, for the exclusions, and for each device."""
    found = []
    old = {rule.name: rule_document(rule) for rule in before.rules}
    new = {rule.name: rule_document(rule) for rule in after.rules}
    for name in dict.fromkeys([*old, *new]):
        found.append(difference(f"rule {name!r}", old.get(name, {}), new.get(name, {})))
    found.append(difference("exclude", _excluded(before), _excluded(after)))
    found += [
        difference(f"device {row.view.address}", row.before.document(), row.after.document())
        for row in rows
        if row.changed
    ]
    return [it for it in found if it["before"] != it["after"]]


def difference(header: str, before: object, after: object) -> Document:
    """Return one difference as Ansible shows it."""
    return {
        "before_header": header,
        "after_header": header,
        "before": before,
        "after": after,
    }


def _excluded(declaration: Declaration) -> Document:
    return {"exclude": [selector_document(selector) for selector in declaration.exclude]}


def _by_rule(view: Optional[HostView]) -> dict[str, list[PciAddress]]:
    devices: dict[str, list[PciAddress]] = {}
    for device in view.devices if view else ():
        if device.rule is not None:
            devices.setdefault(device.rule.name, []).append(device.address)
    return devices
