# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests of the daemon live on the same host as those of hold/."""

from __future__ import annotations

from ..hold.conftest import folder, helper, host, unexpected

__all__ = ["folder", "helper", "host", "unexpected"]
