# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared against seen, for the host as a whole: the helper, its files, and counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Optional

from ..words.declaration import Declaration, PassedOver
from ..words.report import Drift
from ..words.version import API_REVISION, VERSION
from .codes import found
from .drift_case import ABSENT, RUNNING, STOPPED
from .paused import way_out


class HostCase(NamedTuple):
    """What is known of a host's helper and declaration at one moment."""

    helper: str = RUNNING  # running, absent, down or stopped
    api_revision: Optional[int] = None  # what the helper speaks; None: not known
    version: str = ""  # of the helper; empty: not known
    damaged: str = ""  # a sentence on each stored file that could not be used
    declaration: Declaration = Declaration()
    matched: Mapping[str, int] = {}  # rule name: how many devices it found
    passed_over: tuple[PassedOver, ...] = ()  # what rules fit and host drivers have
    quirks_damaged: str = ""  # as damaged, of the files that tell what devices do not take
    paused: str = ""  # why the helper stands back
    workers: int = 0
    stuck: int = 0  # workers that hang in the kernel
    kept: int = 0  # descriptors that the service manager should keep for the helper
    stored: Optional[int] = None  # those it does keep; None: not known


def judge_host(case: HostCase) -> list[Drift]:
    """Return what differs on the host itself; each device is judged by drift.judge."""
    told = (
        _helper_down(case),
        _api_mismatch(case) or _outdated(case),
        _stuck(case),
        _paused(case),
        _not_kept(case),
        _damaged(case),
        _quirks_damaged(case),
    )
    return [drift for drift in told if drift is not None] + list(_miscounted(case))


def _helper_down(case: HostCase) -> Optional[Drift]:
    if case.helper == RUNNING:
        return None
    if case.helper == ABSENT:
        if not any(rule.holds for rule in case.declaration.rules):
            return None
        message = "the helper is not installed, and devices are declared that it has to hold"
        return found("helper-down", message, "Install it with the role vfio.power.helper")
    if case.helper == STOPPED:
        hint = "Start it with: systemctl start vfio-powerd.service"
        return found("helper-down", "the helper is stopped", hint)
    message = "the helper is installed and does not answer on its socket"
    return found("helper-down", message, "Look at: systemctl status vfio-powerd.service")


def _api_mismatch(case: HostCase) -> Optional[Drift]:
    if case.api_revision in (None, API_REVISION):
        return None
    message = f"the helper speaks API revision {case.api_revision}, and {API_REVISION} is needed"
    hint = "Install the helper of this collection with the role vfio.power.helper"
    return found("api-mismatch", message, hint)


def _outdated(case: HostCase) -> Optional[Drift]:
    if not case.version or _numbers(case.version) >= _numbers(VERSION):
        return None
    message = f"the helper runs version {case.version}, and {VERSION} is at hand"
    return found("helper-outdated", message, "Update it with the role vfio.power.helper")


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdecimal()]


def _stuck(case: HostCase) -> Optional[Drift]:
    if not case.workers or case.stuck < case.workers:
        return None
    message = (
        f"all {case.workers} workers of the helper hang in the kernel:"
        " no device can be taken or let go"
    )
    return found("stuck", message, "Look at the kernel log; the devices that are stuck say in what")


def _paused(case: HostCase) -> Optional[Drift]:
    if not case.paused:
        return None
    message = f"the helper is paused, it holds nothing and takes nothing: {case.paused}"
    return found("paused", message, way_out(case.paused))


def _not_kept(case: HostCase) -> Optional[Drift]:
    if case.stored is None or case.stored >= case.kept:
        return None
    message = (
        f"of {case.kept} descriptors of the helper the service manager keeps {case.stored}:"
        " devices are reset and left to the kernel's own rule if the helper dies"
    )
    hint = (
        "Look at: journalctl -u vfio-powerd.service. A device that is let go and taken is kept anew"
    )
    return found("not-kept", message, hint)


def _damaged(case: HostCase) -> Optional[Drift]:
    if not case.damaged:
        return None
    hint = "Converge again: that writes what the playbook declares"
    if "paused.json" in case.damaged:
        hint = "Of paused.json, say what holds: vfio-powerctl pause or resume. Else converge again"
    return found("state-damaged", case.damaged.rstrip("."), hint)


def _quirks_damaged(case: HostCase) -> Optional[Drift]:
    if not case.quirks_damaged:
        return None
    hint = "Mend or remove it; root has to own it, and nobody else may write it"
    return found("state-damaged", case.quirks_damaged.rstrip("."), hint)


def _miscounted(case: HostCase) -> Iterator[Drift]:
    for rule in case.declaration.rules:
        matched = case.matched.get(rule.name, 0)
        if rule.count is None or rule.count == matched:
            continue
        message = f"rule {rule.name!r}: devices found {matched}, expected {rule.count}"
        hint = "Look for cards that are missing, or correct match or count"
        others = [f"{it.address} ({it.driver})" for it in case.passed_over if it.rule == rule.name]
        if others:
            message += f"; it fits {', '.join(others)} as well, on host drivers"
            hint = "Bind them to vfio-pci, for example with driverctl; or correct match or count"
        yield found("count-mismatch", message, hint)
