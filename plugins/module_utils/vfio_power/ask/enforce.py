# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the host's policy to what is declared, while the helper keeps off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Callable, NamedTuple

from ..think.fields import Fields
from ..think.host_policy import Outlook, Write, outlook
from ..think.policy import State
from ..think.wire import report_from_json
from ..touch.host_policy import PolicyFiles, Remembered, write_knob
from ..touch.sysfs import Sysfs
from ..touch.view import HostView
from ..words.address import PciAddress
from ..words.declaration import Declaration
from ..words.errors import KernelRefused, VfioPowerError
from ..words.report import HoldReport
from .ground import Ground

ANSWER_WITHIN = 90.0  # seconds; the helper itself waits less for its devices


class Enforced(NamedTuple):
    """What was written, by the names of the options, and what could not be."""

    written: Mapping[PciAddress, tuple[str, ...]] = {}
    errors: Mapping[PciAddress, str] = {}


def consider(declared: Declaration, seen: HostView, remembered: Remembered) -> Outlook:
    """Say what has to be written on a host, from a picture of it."""
    return outlook(
        declared,
        [view.known for view in seen.devices if view.known],
        {view.address: view.facts for view in seen.devices if view.facts},
        {view.address: view.policy for view in seen.devices},
        remembered.found,
    )


def enforce(ahead: Outlook, seen: HostView, ground: Ground) -> Enforced:
    """Remember what is found, write what differs and nothing else, and forget what is restored."""
    ground.policy.remember(ahead.remembered)
    ground.policy.keep(ahead.rules)
    written: dict[PciAddress, tuple[str, ...]] = defaultdict(tuple)
    errors: dict[PciAddress, str] = {}
    with _kept_off(_around(ahead, seen), seen, ground) as unsafe:
        for address in ahead.addresses:
            try:
                _refuse_unsafe(address, seen, unsafe)
                for write in ahead.of(address):
                    _put(write, ground.write)
                    written[address] += (write.knob.option,)
            except VfioPowerError as error:
                errors[address] = f"{error}."
    failed = [it for it in ahead.remembered if it.address in errors]
    done = [it for it in ahead.found if it.address not in errors]
    ground.policy.remember(tuple(sorted([*done, *failed])))
    return Enforced(written, errors)


def put_back(
    files: PolicyFiles, sysfs: Sysfs, write: Callable[[Write], None] = write_knob
) -> list[str]:
    """Write what was found wherever something else is declared; return what could not be.

    For the removal of all that declares anything. No device is held by then.
    """
    found = files.load().found
    there = {it.address: sysfs.facts(it.address, slot=False) for it in found}
    devices = {address: facts for address, facts in there.items() if facts is not None}
    seen = {address: sysfs.policy(address) for address in devices}
    errors = []
    for one in outlook(Declaration(), (), devices, seen, found).writes:
        try:
            _put(one, write)
        except VfioPowerError as error:
            errors.append(f"{error}.")
    return errors


def _put(one: Write, write: Callable[[Write], None]) -> None:
    try:
        write(one)
    except OSError as error:
        operation = f"write {one.value} to {one.knob.attribute}"
        hint = "A container often shows /sys read-only: run it on the host itself"
        raise KernelRefused(operation, str(one.address), error.errno or 0, hint) from error


def _around(ahead: Outlook, seen: HostView) -> set[PciAddress]:
    """Return the devices that a write may wake, as far as the helper has to do with them."""
    written = [view for view in seen.devices if ahead.of(view.address)]
    woken = {it for view in written for it in (view.address, *view.power_set)}
    return {view.address for view in seen.devices if view.address in woken and view.hold}


Unsafe = Mapping[PciAddress, str]
"""Devices that may still be in low power, each with the reason."""


@contextmanager
def _kept_off(
    addresses: Collection[PciAddress], seen: HostView, ground: Ground
) -> Iterator[Unsafe]:
    """Have the helper keep off devices in a block; it gets those of which that is not sure."""
    if not addresses or not seen.helper.answered:
        yield {}
        return
    parameters = {"addresses": [str(address) for address in sorted(addresses)]}
    with closing(ground.client.stream("HoldOff", parameters, ANSWER_WITHIN)) as answers:
        fields = Fields(next(answers, {}), "answer")
        yield {
            **{it.address: _STALLED for it in fields.each("devices", report_from_json) if _odd(it)},
            **{PciAddress.parse(str(it)): _HANGS for it in fields.get("pending", list, [])},
        }


_HANGS = "a call on it has not returned"
_STALLED = "a call on it failed, so that it may still be in low power"


def _odd(report: HoldReport) -> bool:
    return report.state in (State.STALLED.value, State.UNSURE.value)


def _refuse_unsafe(address: PciAddress, seen: HostView, unsafe: Unsafe) -> None:
    view = seen.device(address)
    power_set = view.power_set if view else ()
    reasons = [f"{it}: {unsafe[it]}" for it in sorted({address, *power_set} & unsafe.keys())]
    if reasons:
        raise VfioPowerError(
            f"{address}: its host policy was not written, as a write wakes ({'; '.join(reasons)})",
            "Look at the kernel log, then run it again",
        )
