# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command works with: the host to look at, the helper to ask, and where to print."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Optional, TextIO

from ..think.trace import Began
from ..touch.client import Client
from ..touch.look import Describe, look
from ..touch.manager import Manager, not_stopped, standing
from ..touch.processes import who_is
from ..touch.store import Store
from ..touch.sysfs import Sysfs
from ..touch.tracing import Tracefs
from ..touch.view import HostView
from ..words.declaration import Selector
from ..words.errors import VfioPowerError
from ..words.report import Failure
from ..words.waker import Waker
from .paint import Paint

DONE, REFUSED, UNREACHABLE = 0, 1, 3
"""The exit statuses; 2 is argparse's own. REFUSED is also what ``--check`` says of drift."""


class Surroundings:
    """The outside world; tests bring their own."""

    def __init__(
        self,
        client: Optional[Client] = None,
        sysfs: Optional[Sysfs] = None,
        store: Optional[Store] = None,
        describe: Optional[Describe] = None,
        look_options: Optional[Mapping[str, Any]] = None,
        manager: Manager = standing,
        tracefs: Optional[Tracefs] = None,
    ) -> None:
        self.client = client or Client()
        self.sysfs = sysfs or Sysfs()
        self.store = store or Store()
        self.describe = describe
        self.look_options = look_options or {}
        self.manager = manager
        self.tracefs = tracefs or Tracefs()

    def running(self) -> Client:
        """Return the client, for a command that must not start the helper. Raises Stopped."""
        not_stopped(self.manager)
        return self.client

    def look(self, selectors: Sequence[Selector] = ()) -> HostView:
        """Take a picture of the host, or of some of its devices."""
        return look(
            self.client,
            self.sysfs,
            self.store,
            selectors=selectors,
            describe=self.describe,
            manager=self.manager,
            **self.look_options,
        )

    def who_is(self, call: Began, helper: Optional[int]) -> Waker:
        """Say who makes a call that the kernel noted, if it is not the helper with that pid."""
        places = {name: self.look_options[name] for name in _PLACES if name in self.look_options}
        return who_is(call, helper, **places)


_PLACES = ("proc", "run")


class Stage:
    """One run of a command: its surroundings and its output."""

    def __init__(
        self,
        around: Surroundings,
        out: TextIO,
        err: TextIO,
        paint: Paint,
        width: int,
        *,
        as_json: bool,
    ) -> None:
        self.around = around
        self.paint = paint
        self.width = width
        self.as_json = as_json
        self._out = out
        self._err = err

    def say(self, text: str = "") -> None:
        """Print a line, at once: somebody may be reading along."""
        self._out.write(text + "\n")
        self._out.flush()

    def say_json(self, document: Any, *, indent: Optional[int] = 2) -> None:
        """Print a document for machines; without indent it is one line."""
        self.say(json.dumps(document, indent=indent, ensure_ascii=False))

    def remark(self, text: str) -> None:
        """Print what is no part of the answer, on the other channel."""
        self._err.write(f"vfio-powerctl: {text}\n")
        self._err.flush()

    def remark_failure(self, failure: Failure) -> None:
        """Print why something was not done with a device, and the next step."""
        self.remark(f"{failure.message}. {failure.hint}".rstrip())

    def remark_error(self, error: VfioPowerError) -> None:
        """Print what went wrong, and the next step."""
        self.remark(f"{error}.")
