# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long tests search and how often they repeat: a little by default, the more in `make soak`.

The soak multiplies all counts by the number in VFIO_POWER_SOAK, and looks somewhere else each
time. Without it every run looks at the same cases.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

SOAK = int(os.environ.get("VFIO_POWER_SOAK", "1"))

searching = settings(
    deadline=None,
    max_examples=100 * SOAK,
    derandomize=SOAK == 1,
    database=None,
    suppress_health_check=list(HealthCheck),
)
