# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints every metric there is, of a device whose rule has as hard a name as can be, for promtool.

Run with plugins/module_utils as PYTHONPATH; unit tests say whether the values are right.
"""

from __future__ import annotations

import sys

from vfio_power.think.metrics import DEVICE, HOST, PREFIX, Device, Moment, exposition
from vfio_power.words.address import PciAddress
from vfio_power.words.declaration import Rule
from vfio_power.words.facts import Power
from vfio_power.words.history import History, Incident
from vfio_power.words.mode import Mode
from vfio_power.words.report import Drift, HoldReport, Reentries, Wakes

CARD = PciAddress.parse("0000:65:00.0")
NAME = 'a "rule"\\with {braces},\nÜ'
DRIFT = (Drift("not-suspended", "drift", "", ""), Drift("waiting", "info", "", ""))


def main() -> int:
    """Print them; fail where one has no sample here, so that none is left out of the check."""
    last = (Incident(1700000000.5, "foreign"),)
    report = HoldReport(CARD, NAME, wakes=Wakes(), reentries=Reentries())
    report = report._replace(history=History(1.0, 2, 3, 5, last))
    device = Device(report, Rule(NAME, CARD, Mode.ENTRY_WITH_WAKEUP), None, Power(), DRIFT)
    told = exposition(Moment(1700000009.25, "0.1.0", False, DRIFT, (device,)))
    missing = [it.name for it in (*HOST, *DEVICE) if f"# TYPE {PREFIX}{it.name} " not in told]
    if missing:
        print(f"without a sample: {missing}", file=sys.stderr)
        return 1
    print(told, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
