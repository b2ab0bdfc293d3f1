# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How <linux/ioctl.h> numbers a request, as far as VFIO and iommufd use it.

Both use ``_IO`` only. ``_IOC_NONE`` is 0 nearly everywhere, and 1 << 29 on the
architectures that inherited another layout (arch/*/include/uapi/asm/ioctl.h).
"""

from __future__ import annotations

import os

_OTHER_LAYOUT = ("alpha", "mips", "ppc", "sparc")
_IOC_NONE = 1 << 29 if os.uname().machine.startswith(_OTHER_LAYOUT) else 0


def _IO(type_: str, number: int) -> int:
    """Return the request number of ``_IO(type, number)``."""
    return _IOC_NONE | ord(type_) << 8 | number
