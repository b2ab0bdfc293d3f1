# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a host as a whole: declared, held and reached, side by side, and what differs.

Looking never touches. Files that sysfs answers from memory are read, the helper answers from
memory too, and processes are found by the links below /proc. No device node is opened and
no ioctl is made, so that a sleeping device sleeps on.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Callable, Optional, Protocol

from ..think.resolve import resolve
from ..think.rivals import idle_policy
from ..think.select import asks_udev, fits
from ..words.address import PciAddress
from ..words.declaration import Resolution, Selector
from ..words.facts import Facts
from ..words.rival import PolicyFile, Rival
from .client import Client
from .helper import CODE, Answer, ask
from .judging import Seen, host_drift, view_of
from .manager import Manager, standing
from .openers import MANAGER, openers
from .positions import Positions
from .quirks import Loaded as KnownBad
from .quirks import load as load_quirks
from .rivals import load as load_policies
from .store import Loaded
from .sysfs import Sysfs
from .view import DeviceView, HostView

SETTLE = 5.0

Devices = dict[PciAddress, Facts]
Describe = Callable[[Mapping[PciAddress, Facts]], Devices]


class Stored(Protocol):
    """What is declared: touch/store.py, or what somebody considers to declare."""

    def load(self) -> Loaded:
        """Return it."""


def look(
    client: Optional[Client],
    sysfs: Sysfs,
    store: Stored,
    *,
    selectors: Sequence[Selector] = (),
    besides: Optional[Collection[PciAddress]] = None,
    describe: Optional[Describe] = None,
    name: Optional[Describe] = None,
    proc: str = "/proc",
    run: str = "/run",
    code: str = CODE,
    root: Optional[bool] = None,
    settle: float = SETTLE,
    now: Optional[float] = None,
    known_bad: Callable[[], KnownBad] = load_quirks,
    policies: Callable[[], tuple[PolicyFile, ...]] = load_policies,
    manager: Manager = standing,
    may_start: bool = False,
    explaining: bool = True,
) -> HostView:
    """Take one picture of a host.

    Without selectors it shows every device that is declared, known to the helper or one of
    ``besides``, by default those that are bound to a VFIO driver. ``client`` None: the helper is
    not asked. ``describe`` adds what udev knows (touch/udev.py), and may raise ImportError;
    ``name`` only adds models, and does where no selector asks for a property. ``code`` tells
    whether a helper is installed. A device is not judged by its power state before it had
    ``settle`` seconds to sleep. ``manager`` says how the helper's service stands: one that is
    stopped is asked, and started by that, only where it ``may_start``. ``policies`` are the files
    of other tools that may write the devices' power policy. Without ``explaining`` only what is not
    as declared is explained.
    """
    root = os.geteuid() == 0 if root is None else root
    loaded = store.load() if root else Loaded()
    answer = ask(client, code, manager, may_start=may_start)
    by_property = asks_udev(loaded.declaration, selectors)
    wholly = by_property or name is None
    around = None if selectors else _all_that_matter(loaded, answer, besides)
    devices, described = _devices(sysfs.devices(around), describe if wholly else None)
    resolution = _resolution(loaded, devices, told=described or not by_property)
    seen = Seen(
        declaration=loaded.declaration,
        resolution=resolution,
        devices=devices,
        answer=answer,
        host=sysfs.host(),
        openers={},
        settle=settle,
        now=time.time() if now is None else now,
        known_bad=known_bad(),
        policies=policies(),
        explaining=explaining,
    )
    shown = _shown(seen, selectors, besides)
    if name is not None and not wholly:
        devices.update(name({it: devices[it] for it in shown if it in devices}))
    if root and (explaining or _any_free(shown, seen)):
        seen = seen._replace(openers=openers(proc, _ours(seen.answer), run))
    positions = Positions(
        sysfs,
        devices,
        answer.holds,
        seen.openers,
        seen.host,
        seen.policies,
        users_known=root,
    )
    views = tuple(view_of(address, seen, sysfs, positions) for address in shown)
    return HostView(
        host=seen.host,
        helper=seen.answer.helper,
        declaration=loaded.declaration,
        devices=views,
        matched=dict(resolution.matched),
        passed_over=resolution.passed_over,
        drift=host_drift(seen, loaded.damaged),
        limited=not root,
        rivals=_rivals(seen, views),
    )


def _rivals(seen: Seen, views: Iterable[DeviceView]) -> tuple[Rival, ...]:
    """Return what others write to any of the devices, and to vfio-pci itself."""
    found = [rival for view in views for rival in view.rivals]
    return tuple(dict.fromkeys([*found, *idle_policy(seen.policies)]))


def _ours(answer: Answer) -> tuple[Optional[int], ...]:
    """Return the processes that have nodes open for the helper, as long as it runs."""
    return (answer.helper.pid, MANAGER) if answer.helper.pid else ()


def _all_that_matter(
    loaded: Loaded, answer: Answer, besides: Optional[Collection[PciAddress]]
) -> Optional[set[PciAddress]]:
    """Return the devices in question, or None where that may be any device of the host."""
    exact = [it.selector for it in loaded.declaration.rules if isinstance(it.selector, PciAddress)]
    if besides is None or len(exact) < len(loaded.declaration.rules):
        return None
    return {*exact, *besides, *answer.holds, *(entry.address for entry in loaded.known)}


def _devices(devices: Devices, describe: Optional[Describe]) -> tuple[Devices, bool]:
    """Return the devices, and whether udev was asked about them."""
    if describe is None:
        return devices, False
    try:
        return describe(devices), True
    except ImportError:
        return devices, False


def _resolution(loaded: Loaded, devices: Devices, *, told: bool) -> Resolution:
    """Apply the rules; unless udev told what they ask for: then all stays as it was."""
    if not told:
        counted = Counter(entry.rule for entry in loaded.known)
        return Resolution(loaded.known, dict(counted))
    return resolve(loaded.declaration, devices, loaded.known)


def _any_free(shown: Iterable[PciAddress], seen: Seen) -> bool:
    """Tell whether somebody else than the helper could have one of the devices open."""
    held = {address for address, hold in seen.answer.holds.items() if hold.held}
    on_vfio = (it for it in shown if it in seen.devices and seen.devices[it].vfio)
    return any(address not in held for address in on_vfio)


def _shown(
    seen: Seen,
    selectors: Sequence[Selector],
    besides: Optional[Collection[PciAddress]],
) -> list[PciAddress]:
    if besides is None:
        besides = [address for address, facts in seen.devices.items() if facts.vfio]
    ours = {entry.address for entry in seen.resolution.known} | set(seen.answer.holds)
    usual = ours.union(besides)
    if not selectors:
        return sorted(usual)
    return sorted({it for selector in selectors for it in _selected(selector, seen, usual)})


def _selected(selector: Selector, seen: Seen, usual: set[PciAddress]) -> Iterable[PciAddress]:
    """Yield what a selector means; only one that names a driver reaches beyond VFIO."""
    if isinstance(selector, PciAddress):
        yield selector
        return
    for address, facts in seen.devices.items():
        if (selector.driver or address in usual) and fits(selector, facts):
            yield address
