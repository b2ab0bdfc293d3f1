# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each code of drift is called in a report, and which words stand for how grave it is.

The severity comes with the answer. What only a report can find has codes of its own here.
"""

from __future__ import annotations

DRIFT, UNKNOWN, EXCUSED, INFO = "drift", "unknown", "excused", "info"
AS_DECLARED = "as-declared"

SEVERITIES = (DRIFT, UNKNOWN, EXCUSED, INFO)
"""The gravest first. Unknown is never fine."""

TITLES = {
    "helper-down": "The helper does not answer",
    "api-mismatch": "The helper speaks another revision",
    "device-missing": "A declared device is gone",
    "identity-changed": "Another card is at the address",
    "not-bound": "Not on a VFIO driver",
    "group-not-viable": "The IOMMU group is shared with host drivers",
    "unsupported": "The device does not support it",
    "kernel-refused": "The kernel refused",
    "node-denied": "The device node may not be opened",
    "mode-mismatch": "Another mode than declared",
    "runtime-pm-forbidden": "Runtime power management is forbidden",
    "host-policy": "The host's policy is another one",
    "not-suspended": "Awake though its mode is engaged",
    "not-as-expected": "In another state than expected",
    "wake-storm": "Woken again and again",
    "stuck": "A call into the kernel hangs",
    "power-error": "Did not come back from low power",
    "quarantined": "Not trusted any more",
    "set-incomplete": "A part of a unit is missing",
    "undeclared-hold": "Held, and not declared",
    "count-mismatch": "A rule finds another number of devices",
    "state-damaged": "Stored state is damaged",
    "leased": "Lent to somebody",
    "busy": "In use by somebody else",
    "awake-by-quirk": "Left awake because of a quirk",
    "paused": "The helper is paused",
    "waiting": "Woken, and entered again soon",
    "d3cold-blocked": "D3cold is out of reach",
    "no-power-management": "Nothing to save power with",
    "rival-policy": "Somebody else sets the same policy",
    "helper-outdated": "The helper is older than the collection",
    "not-kept": "Descriptors are not kept",
    "hold-saves-nothing": "Holding saves nothing here",
    # What a report finds by itself.
    "would-change": "Converging would change something",
    "unreachable": "Could not be reached",
    "not-looked-at": "Was not looked at",
    "look-failed": "Could not be looked at",
    "compare-failed": "Could not be compared with its variables",
    "not-root": "Seen without root",
    "not-told": "Does not say whether it is as declared",
}


def title(code: str) -> str:
    """Return what a code means in a few words; one that nobody knows speaks for itself."""
    return TITLES.get(code, code)


def gravest(severities: set[str]) -> str:
    """Return how a host or a device stands with drift of these severities."""
    return next((it for it in (DRIFT, UNKNOWN) if it in severities), AS_DECLARED)
