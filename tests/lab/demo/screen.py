# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the demo looks: what is said, what is typed, what comes out, and what the kernel confirms.

Colours only on a terminal; without them the text is the same.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import threading
from typing import TextIO

from ..progress import LabError

_COLOURS = {"bold": "1", "faint": "2", "green": "32", "cyan": "36"}
WIDEST = 110


class NotShown(LabError):
    """A step did not show what it claims."""


class Screen:
    """Where the demo is told. Lines may come from several threads."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._lock = threading.Lock()
        self._steps = 0
        self._silent = False  # the last thing shown was a command, which has said nothing so far
        self.colours = self._out.isatty() and not os.environ.get("NO_COLOR")
        columns = shutil.get_terminal_size((WIDEST, 24)).columns if self.colours else WIDEST
        self.width = max(60, min(columns, WIDEST))

    def step(self, title: str, why: str) -> None:
        """Begin a step: its title, and in plain words what comes and why."""
        self._steps += 1
        self._say("")
        self._say(self._paint("bold", f"{self._steps}. {title}"))
        for line in textwrap.wrap(why, self.width - 3):
            self._say(f"   {line}")

    def typed(self, prompt: str, command: str) -> None:
        """Show a command as a person would type it."""
        if not self._silent:
            self._say("")
        self._say(self._paint("cyan", f"{prompt} {command}"))
        self._silent = True

    def came(self, line: str, mark: str = " ") -> None:
        """Show a line that a command gave."""
        self._say(f"{mark} {line}".rstrip())

    def note(self, text: str) -> None:
        """Say something between two commands."""
        for line in textwrap.wrap(text, self.width - 3):
            self._say(self._paint("faint", f"   {line}"))

    def shown(self, fact: str) -> None:
        """Say what has been asked of the kernel and found true."""
        self._say(f"{self._paint('green', '  ok')}  {fact}")

    def claim(self, holds: object, fact: str, otherwise: str) -> None:
        """Say a fact that holds, or end the demo with what was there instead."""
        if not holds:
            raise NotShown(f"This should have been so: {fact}.\nInstead: {otherwise}")
        self.shown(fact)

    def end(self, text: str) -> None:
        """Say a last word."""
        self._say("")
        self._say(self._paint("bold", text))

    def plain(self, text: str) -> None:
        """Show lines as they are."""
        for line in text.splitlines():
            self._say(line)

    def _say(self, line: str) -> None:
        with self._lock:
            self._silent = False
            self._out.write(line + "\n")
            self._out.flush()

    def _paint(self, colour: str, text: str) -> str:
        return f"\033[{_COLOURS[colour]}m{text}\033[0m" if self.colours else text
