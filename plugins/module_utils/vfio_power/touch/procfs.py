# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel tells in files that may be gone, or not ours to read; and names found in them."""

from __future__ import annotations

_LONGEST = 256


def text_of(path: str) -> str:
    """Return what a file says, nothing where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def printable(name: str) -> str:
    """Return a name that somebody else chose, so that it does no harm to a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:_LONGEST])
