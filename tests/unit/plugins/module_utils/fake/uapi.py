# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of <linux/vfio.h> that only a kernel needs, or somebody else who asks it.

The program's own part is in its uapi/; test_uapi.py compares both with the header.
"""

from __future__ import annotations

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.uapi.ioctl import _IO
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.uapi.vfio import (
    VFIO_BASE,
    VFIO_TYPE,
)

VFIO_API_VERSION = 0

VFIO_GET_API_VERSION = _IO(VFIO_TYPE, VFIO_BASE + 0)
VFIO_CHECK_EXTENSION = _IO(VFIO_TYPE, VFIO_BASE + 1)

VFIO_GROUP_FLAGS_CONTAINER_SET = 1 << 1

VFIO_DEVICE_FEATURE_MASK = 0xFFFF
VFIO_DEVICE_FEATURE_GET = 1 << 16
