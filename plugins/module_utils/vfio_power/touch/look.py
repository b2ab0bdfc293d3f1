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
from typing import Callable, NamedTuple, Optional, Protocol

from ..think.drift import DOWN, RUNNING, Case, HostCase, judge, judge_host
from ..think.quirks import has, quirks_of
from ..think.resolve import resolve
from ..think.select import asks_udev, fits
from ..think.units import host_drivers, power_set, unit
from ..words.address import PciAddress
from ..words.declaration import Declaration, Known, Resolution, Selector
from ..words.facts import Facts, HostFacts
from ..words.mode import Mode
from ..words.quirk import Kind
from ..words.report import Drift
from .client import Client
from .helper import CODE, Answer, Count, ask
from .manager import stored as stored_by_manager
from .openers import MANAGER, openers, openers_of
from .quirks import Loaded as KnownBad
from .quirks import load as load_quirks
from .store import Loaded
from .sysfs import Sysfs
from .view import DeviceView, HostView, Opener

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
    code: str = CODE,
    root: Optional[bool] = None,
    settle: float = SETTLE,
    now: Optional[float] = None,
    known_bad: Callable[[], KnownBad] = load_quirks,
    stored: Count = stored_by_manager,
) -> HostView:
    """Take one picture of a host.

    Without selectors it shows every device that is declared, known to the helper or one of
    ``besides``, by default those that are bound to a VFIO driver. ``client`` None: the helper is
    not asked. ``describe`` adds what udev knows (touch/udev.py), and may raise ImportError;
    ``name`` only adds models, and does where no selector asks for a property. ``code`` tells
    whether a helper is installed. A device is not judged by its power state before it had
    ``settle`` seconds to sleep. ``stored`` asks the service manager what it keeps for the helper.
    """
    root = os.geteuid() == 0 if root is None else root
    loaded = store.load() if root else Loaded()
    answer = ask(client, code, stored)
    by_property = asks_udev(loaded.declaration, selectors)
    wholly = by_property or name is None
    around = None if selectors else _all_that_matter(loaded, answer, besides)
    devices, described = _devices(sysfs.devices(around), describe if wholly else None)
    resolution = _resolution(loaded, devices, told=described or not by_property)
    ground = _Ground(
        declaration=loaded.declaration,
        resolution=resolution,
        devices=devices,
        answer=answer,
        host=sysfs.host(),
        openers={},
        settle=settle,
        now=time.time() if now is None else now,
        known_bad=known_bad(),
    )
    shown = _shown(ground, selectors, besides)
    if name is not None and not wholly:
        devices.update(name({it: devices[it] for it in shown if it in devices}))
    if root and _any_free(shown, ground):
        ground = ground._replace(openers=openers(proc, _ours(ground.answer)))
    views = tuple(_view(address, ground, sysfs) for address in shown)
    return HostView(
        host=ground.host,
        helper=ground.answer.helper,
        declaration=loaded.declaration,
        devices=views,
        matched=dict(resolution.matched),
        passed_over=resolution.passed_over,
        drift=_host_drift(ground, loaded.damaged),
        limited=not root,
    )


def _ours(answer: Answer) -> tuple[Optional[int], ...]:
    """Return the processes that have nodes open for the helper, as long as it runs."""
    return (answer.helper.pid, MANAGER) if answer.helper.pid else ()


class _Ground(NamedTuple):
    """All that the views of single devices are made from."""

    declaration: Declaration
    resolution: Resolution
    devices: Devices
    answer: Answer
    host: HostFacts
    openers: Mapping[str, tuple[Opener, ...]]
    settle: float
    now: float
    known_bad: KnownBad

    def known(self, address: PciAddress) -> Optional[Known]:
        return next((it for it in self.resolution.known if it.address == address), None)


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


def _any_free(shown: Iterable[PciAddress], ground: _Ground) -> bool:
    """Tell whether somebody else than the helper could have one of the devices open."""
    held = {address for address, hold in ground.answer.holds.items() if hold.held}
    on_vfio = (it for it in shown if it in ground.devices and ground.devices[it].vfio)
    return any(address not in held for address in on_vfio)


def _shown(
    ground: _Ground,
    selectors: Sequence[Selector],
    besides: Optional[Collection[PciAddress]],
) -> list[PciAddress]:
    if besides is None:
        besides = [address for address, facts in ground.devices.items() if facts.vfio]
    ours = {entry.address for entry in ground.resolution.known} | set(ground.answer.holds)
    usual = ours.union(besides)
    if not selectors:
        return sorted(usual)
    return sorted({it for selector in selectors for it in _selected(selector, ground, usual)})


def _selected(selector: Selector, ground: _Ground, usual: set[PciAddress]) -> Iterable[PciAddress]:
    """Yield what a selector means; only one that names a driver reaches beyond VFIO."""
    if isinstance(selector, PciAddress):
        yield selector
        return
    for address, facts in ground.devices.items():
        if (selector.driver or address in usual) and fits(selector, facts):
            yield address


def _view(address: PciAddress, ground: _Ground, sysfs: Sysfs) -> DeviceView:
    facts, known = ground.devices.get(address), ground.known(address)
    hold = ground.answer.holds.get(address)
    opened_by = openers_of(facts, ground.openers) if facts and not (hold and hold.held) else ()
    view = DeviceView(
        address=address,
        facts=facts,
        power=sysfs.power(address),
        known=known,
        rule=ground.declaration.rule(known.rule) if known else None,
        hold=hold,
        opened_by=opened_by,
        unit=unit(address, ground.devices),
        power_set=power_set(address, ground.devices),
        quirks=quirks_of(facts, ground.known_bad.quirks) if facts else (),
    )
    if facts and has(facts, Kind.NO_D3COLD, view.quirks):
        view = view._replace(kept_awake=sysfs.d3cold_allowed(address) is not False)
    return view._replace(drift=_device_drift(view, ground, _blockers(view, ground, sysfs)))


def _blockers(view: DeviceView, ground: _Ground, sysfs: Sysfs) -> tuple[str, ...]:
    """Name what is awake beside a device that should sleep: its other functions, its VFs."""
    if view.rule is None or view.rule.mode is Mode.NONE or view.power is None or view.power.asleep:
        return ()
    awake = []
    for address in view.power_set:
        power = sysfs.power(address) if address != view.address else None
        if power is not None and power.runtime_status == "active":
            driver = ground.devices[address].driver
            on = f"on {driver}" if driver else "on no driver"
            awake.append(f"{address} below the same port is awake too, {on}")
    return tuple(awake)


def _device_drift(
    view: DeviceView, ground: _Ground, blockers: tuple[str, ...]
) -> tuple[Drift, ...]:
    case = Case(
        address=view.address,
        rule=view.rule,
        known=view.known,
        facts=view.facts,
        power=view.power,
        hold=view.hold,
        helper=RUNNING if ground.answer.helper.answered else DOWN,
        paused=ground.answer.helper.paused,
        host=ground.host,
        group_drivers=host_drivers(view.address, ground.devices),
        opened_by=tuple(str(opener) for opener in view.opened_by),
        blockers=blockers,
        settle=ground.settle,
        now=ground.now,
    )
    return tuple(judge(case))


def _host_drift(ground: _Ground, damaged: str) -> tuple[Drift, ...]:
    helper, told = ground.answer.helper, ground.answer.damaged
    case = HostCase(
        helper=RUNNING if helper.state == "unknown" else helper.state,
        api_revision=helper.api_revision,
        version=helper.version,
        paused=helper.paused,
        quirks_damaged=ground.known_bad.damaged,
        damaged=told if damaged in told else f"{damaged} {told}".rstrip(),
        declaration=ground.declaration,
        matched=ground.resolution.matched,
        workers=helper.workers,
        stuck=helper.stuck,
        kept=helper.kept or 0,
        stored=helper.stored,
    )
    return tuple(judge_host(case))
