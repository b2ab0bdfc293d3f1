# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which program this is, and which revision of the socket's interface it speaks.

The revision alone decides whether a client and a helper understand each other.
"""

from __future__ import annotations

VERSION = "0.1.0"
API_REVISION = 1
