# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a helper that was started: the one before is the measure.

Private to this collection. Values in, values out; who looks, and when, is in _upgrade.py.
"""

from __future__ import annotations

from ansible_collections.vfio.power.plugins.module_utils._service import Look
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.drift import RUNNING
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.policy import Action
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import HoldReport


def wrong_with(before: Look, after: Look, version: str) -> str:
    """Say in what a helper is not the one that was to go on; nothing where it is."""
    helper = after.answer.helper
    if helper.state != RUNNING:
        return f"it does not answer. {helper.trouble}".rstrip(". ")
    if helper.version != version:
        return f"version {helper.version} answers in its place"
    if _both_told(before, after):
        lost = ", ".join(str(address) for address in sorted(_lost(before, after)))
        return f"it does not hold any more: {lost}" if lost else ""
    # One of them speaks another API revision: the service manager can still count.
    if after.kept < before.kept:
        return f"of {before.kept} descriptors that were kept for it {after.kept} are left"
    return ""


def were_compared(before: Look, after: Look) -> bool:
    """Tell whether devices could be compared one by one: one that is paused holds none."""
    paused = before.answer.helper.paused or after.answer.helper.paused
    return _both_told(before, after) and not paused


def _both_told(before: Look, after: Look) -> bool:
    return before.answer.helper.answered and after.answer.helper.answered


def _lost(before: Look, after: Look) -> frozenset[PciAddress]:
    """Return what is not held any more without a reason of its own."""
    if after.answer.helper.paused:
        return frozenset()
    held = frozenset(address for address, hold in before.answer.holds.items() if _holds(hold))
    reports = after.answer.holds.items()
    fine = frozenset(address for address, report in reports if _is_well(report))
    return held & after.on_vfio - fine


def _is_well(report: HoldReport) -> bool:
    """Tell whether a device is held, or somebody asked for it, or it must not be held (a quirk)."""
    forbidden = report.failure is not None and report.failure.code == "unsupported"
    return _holds(report) or bool(report.leases) or bool(report.quarantined) or forbidden


def _holds(report: HoldReport) -> bool:
    """Tell whether a device is held, and not being let go."""
    closing = report.running is not None and report.running.call == Action.LET_GO.value
    return report.held and not closing
