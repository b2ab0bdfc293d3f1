# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours for a terminal; the text is the same without them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

_COLOURS = {
    "bold": "1",
    "faint": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
}

SEVERITY = {"drift": "red", "excused": "yellow", "info": "faint"}


def wanted(out: TextIO, environ: Mapping[str, str]) -> bool:
    """Tell whether colours help: on a terminal, unless NO_COLOR is set to anything."""
    return out.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


class Paint:
    """Puts colours around text, or leaves it as it is."""

    def __init__(self, *, on: bool) -> None:
        self._on = on

    def __call__(self, colour: str, text: str) -> str:
        """Return the text in a colour; an empty name is no colour."""
        if not self._on or not colour:
            return text
        return f"\033[{_COLOURS[colour]}m{text}\033[0m"
