# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One attribute of sysfs at a time: its text, number or switch, and where a link leads.

Which attributes may be read without waking a device is for sysfs.py to know.
"""

from __future__ import annotations

import os
from typing import Optional

PAGE = 4096  # bytes


def text_of(path: str, missing: str = "") -> str:
    """Return an attribute, which is never longer than a page.

    A look at a large host reads thousands of them, and Python's file objects cost three times
    what the kernel's part does.
    """
    try:
        attribute = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(attribute, PAGE).decode("ascii", "replace").strip()
        finally:
            os.close(attribute)
    except OSError:
        return missing


def number_of(path: str, missing: int) -> int:
    """Return a number, or ``missing`` where there is none."""
    try:
        return int(text_of(path))
    except ValueError:
        return missing


def optional_number(path: str) -> Optional[int]:
    """Return a number that is not negative, or None where there is none."""
    text = text_of(path)
    return int(text) if text.isdecimal() else None


def is_readable(path: str) -> Optional[bool]:
    """Tell whether an attribute has a value; None where there is no such attribute.

    The delay of a port is refused as long as the kernel has not decided that the port may sleep.
    """
    if not os.path.exists(path):
        return None
    return bool(text_of(path))


def switch_of(path: str) -> Optional[bool]:
    """Tell whether a parameter of a module is on; None where there is no such parameter."""
    value = text_of(path)
    return value in ("Y", "1") if value else None


def target_of(path: str) -> str:
    """Return the last name of what a link points at, or an empty string."""
    try:
        return os.path.basename(os.readlink(path))
    except OSError:
        return ""


def names_in(folder: str) -> list[str]:
    """Return what a folder has, in order; nothing where it is not there."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
