# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab says while it works: one line per step, with the seconds it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class LabError(Exception):
    """Something a person can act on; the text is the whole message."""


class Progress:
    """Writes to a stream; on a terminal the running step is shown and coloured."""

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        self.stream = stream or sys.stderr
        self.quiet = quiet
        self.live = self.stream.isatty()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        if self.live and not self.quiet:
            self.stream.write(f"   ...   {what}\r")
            self.stream.flush()
        try:
            yield
        except BaseException:
            self._line("31", "failed", what)
            raise
        self._line("32", f"{time.monotonic() - began:6.1f} s", what)

    def note(self, text: str) -> None:
        self._line("33", "note", text)

    def _line(self, colour: str, label: str, text: str) -> None:
        if self.quiet:
            return
        label = f"{label:>8}"
        if self.live:
            label = f"\r\033[K\033[{colour}m{label}\033[0m"
        self.stream.write(f"{label} {text}\n")
        self.stream.flush()


SILENT = Progress(quiet=True)
