# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of <linux/vfio.h> spoken here, spelled as the kernel spells it.

Numbers and layouts only. What calls the kernel lives in touch/kernel.py.
"""

from __future__ import annotations

import ctypes

from .ioctl import _IO

VFIO_TYPE1v2_IOMMU = 3

VFIO_TYPE = ";"
VFIO_BASE = 100

VFIO_SET_IOMMU = _IO(VFIO_TYPE, VFIO_BASE + 2)
VFIO_GROUP_GET_STATUS = _IO(VFIO_TYPE, VFIO_BASE + 3)
VFIO_GROUP_SET_CONTAINER = _IO(VFIO_TYPE, VFIO_BASE + 4)
VFIO_GROUP_GET_DEVICE_FD = _IO(VFIO_TYPE, VFIO_BASE + 6)
VFIO_DEVICE_SET_IRQS = _IO(VFIO_TYPE, VFIO_BASE + 10)
VFIO_DEVICE_FEATURE = _IO(VFIO_TYPE, VFIO_BASE + 17)
VFIO_DEVICE_BIND_IOMMUFD = _IO(VFIO_TYPE, VFIO_BASE + 18)

VFIO_GROUP_FLAGS_VIABLE = 1 << 0

VFIO_IRQ_SET_DATA_EVENTFD = 1 << 2
VFIO_IRQ_SET_ACTION_TRIGGER = 1 << 5

VFIO_PCI_ERR_IRQ_INDEX = 3
VFIO_PCI_REQ_IRQ_INDEX = 4

VFIO_DEVICE_FEATURE_SET = 1 << 17
VFIO_DEVICE_FEATURE_PROBE = 1 << 18

VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY = 3
VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP = 4
VFIO_DEVICE_FEATURE_LOW_POWER_EXIT = 5


class vfio_group_status(ctypes.Structure):
    """``struct vfio_group_status``."""

    _fields_ = [("argsz", ctypes.c_uint32), ("flags", ctypes.c_uint32)]


class vfio_irq_set(ctypes.Structure):
    """``struct vfio_irq_set``; ``data[]`` follows it."""

    _fields_ = [
        ("argsz", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("index", ctypes.c_uint32),
        ("start", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
    ]


class vfio_device_feature(ctypes.Structure):
    """``struct vfio_device_feature``; ``data[]`` follows it."""

    _fields_ = [("argsz", ctypes.c_uint32), ("flags", ctypes.c_uint32)]


class vfio_device_low_power_entry_with_wakeup(ctypes.Structure):
    """``struct vfio_device_low_power_entry_with_wakeup``."""

    _fields_ = [("wakeup_eventfd", ctypes.c_int32), ("reserved", ctypes.c_uint32)]


class vfio_device_bind_iommufd(ctypes.Structure):
    """``struct vfio_device_bind_iommufd`` without the token of Linux 6.17."""

    _fields_ = [
        ("argsz", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("iommufd", ctypes.c_int32),
        ("out_devid", ctypes.c_uint32),
    ]
