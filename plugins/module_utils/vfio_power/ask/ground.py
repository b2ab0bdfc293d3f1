# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The surroundings of one task: the host's files, the helper, the clock. Tests bring their own."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Callable, NamedTuple, Optional

from ..think.host_policy import Write
from ..think.select import asks_udev
from ..touch.client import Client
from ..touch.helper import CODE
from ..touch.host_policy import PolicyFiles, write_knob
from ..touch.look import SETTLE, look
from ..touch.manager import Manager, standing
from ..touch.quirks import Loaded as KnownBad
from ..touch.quirks import load as load_quirks
from ..touch.rivals import load as load_policies
from ..touch.store import FOLDER, Loaded, Store
from ..touch.sysfs import Sysfs
from ..touch.udev import described, named
from ..touch.view import HostView
from ..words.address import PciAddress
from ..words.declaration import Declaration, Selector
from ..words.errors import VfioPowerError
from ..words.facts import Facts
from ..words.rival import PolicyFile

Devices = dict[PciAddress, Facts]


class Ground(NamedTuple):
    """Where a task looks and whom it asks."""

    client: Client
    store: Store = Store(FOLDER)
    sysfs: Sysfs = Sysfs()
    describe: Callable[[Mapping[PciAddress, Facts]], Devices] = described
    name: Callable[[Mapping[PciAddress, Facts]], Devices] = named
    code: str = CODE
    proc: str = "/proc"
    root: Optional[bool] = None
    clock: Callable[[], float] = time.time
    ticks: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    known_bad: Callable[[], KnownBad] = load_quirks
    policies: Callable[[], tuple[PolicyFile, ...]] = load_policies
    manager: Manager = standing
    policy: PolicyFiles = PolicyFiles()
    write: Callable[[Write], None] = write_knob

    def look(
        self,
        loaded: Optional[Loaded] = None,
        selectors: Sequence[Selector] = (),
        settle: float = SETTLE,
        besides: Optional[Collection[PciAddress]] = None,
        *,
        may_start: bool = False,
        explaining: bool = False,
    ) -> HostView:
        """Take a picture of the host; with ``loaded``, as if that were what is stored.

        ``may_start``: a helper that is stopped is started by being asked. ``explaining``: every
        device is explained, also one that is as declared.
        """
        return look(
            self.client,
            self.sysfs,
            _Remembered(loaded) if loaded else self.store,
            selectors=selectors,
            besides=besides,
            describe=self.describe,
            name=self.name,
            proc=self.proc,
            code=self.code,
            root=self.root,
            now=self.clock(),
            settle=settle,
            known_bad=self.known_bad,
            policies=self.policies,
            manager=self.manager,
            may_start=may_start,
            explaining=explaining,
        )

    def need_udev(self, declaration: Declaration) -> None:
        """Raise ImportError when a rule asks for what only udev knows, and nobody can ask it."""
        if asks_udev(declaration):
            self.describe({})


class _Remembered(Store):
    """A store that has been read already, or whose content is only being considered."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    def load(self) -> Loaded:
        return self._loaded

    def save(self, *_: object, expected: Optional[int] = None) -> bool:
        raise VfioPowerError("a declaration that is only looked at cannot be stored")
