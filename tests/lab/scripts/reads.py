# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a lab host: reads from a device and gets stuck in it, so that the kernel keeps it awake.

/proc/bus/pci is read straight into our memory, while the device is resumed for that. The memory
here is of the kind whose missing pages a process provides itself, and nobody does.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import struct
import sys

_USERFAULTFD = 323  # the system call on x86-64
_API, _REGISTER = 0xC018AA3F, 0xC020AA00
_VERSION, _MISSING = 0xAA, 1

domain, bus, place = sys.argv[1].split(":")
libc = ctypes.CDLL(None)
faults = libc.syscall(_USERFAULTFD, os.O_CLOEXEC)
fcntl.ioctl(faults, _API, struct.pack("QQQ", _VERSION, 0, 0))
memory = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
fcntl.ioctl(faults, _REGISTER, struct.pack("QQQQ", start, mmap.PAGESIZE, _MISSING, 0))
with open(f"/proc/bus/pci/{bus}/{place}", "rb") as file:
    libc.read(file.fileno(), ctypes.c_void_p(start), 64)
