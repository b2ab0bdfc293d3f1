# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One picture of a host: everything declared, held and seen of it, as values.

look.py takes the picture, judging.py says what differs in it, and document.py writes it down for
machines.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from ..think.codes import DRIFT, EXCUSED, drifted
from ..words.address import PciAddress
from ..words.allowance import HostPolicy
from ..words.declaration import Declaration, Known, PassedOver, Rule
from ..words.facts import Facts, HostFacts, Power
from ..words.quirk import Quirk
from ..words.report import Drift, HoldReport
from ..words.rival import Rival
from ..words.why import Why


class Opener(NamedTuple):
    """A process other than the helper that has a device's node open."""

    pid: int
    command: str  # the process name; its arguments stay private
    guest: Optional[str] = None  # the name of the guest that it runs

    def __str__(self) -> str:
        """Return ``qemu-system-x86 (pid 812, guest web)``."""
        guest = "" if self.guest is None else f", guest {self.guest}"
        return f"{self.command} (pid {self.pid}{guest})"


class HelperView(NamedTuple):
    """The helper, as far as it answered."""

    state: str = "absent"  # running, down, stopped, absent, or unknown to those who may not ask
    answered: bool = False  # what it says of devices is known, and can be understood
    version: str = ""
    api_revision: Optional[int] = None
    pid: Optional[int] = None
    generation: Optional[int] = None  # of the declaration that it goes by
    paused: str = ""  # why it holds nothing and takes nothing
    workers: int = 0
    stuck: int = 0  # workers that hang in the kernel
    kept: Optional[int] = None  # descriptors that the service manager should keep for it
    stored: Optional[int] = None  # those it does keep; None: it does not say, or they are moving
    trouble: str = ""  # why it could not be asked, as a sentence with a next step

    @property
    def holds_known(self) -> bool:
        """Tell whether it is known what is held: where there is no helper, nothing is."""
        return self.answered or self.state == "absent"

    @property
    def fdstore_ok(self) -> Optional[bool]:
        """Tell whether the service manager keeps all that the helper would need to go on."""
        if self.kept is None or self.stored is None:
            return None
        return self.stored >= self.kept


class DeviceView(NamedTuple):
    """One device: what is declared of it, what the helper says, what sysfs shows."""

    address: PciAddress
    facts: Optional[Facts] = None  # None: not on the bus
    power: Optional[Power] = None
    policy: HostPolicy = HostPolicy()  # what the host allows it, as it was seen
    known: Optional[Known] = None
    rule: Optional[Rule] = None
    hold: Optional[HoldReport] = None  # None: unknown to the helper, or nobody could ask it
    opened_by: tuple[Opener, ...] = ()  # others than the helper; for root only
    unit: tuple[PciAddress, ...] = ()  # released and taken together
    power_set: tuple[PciAddress, ...] = ()  # below one port: wakes together
    drift: tuple[Drift, ...] = ()
    quirks: tuple[Quirk, ...] = ()
    rivals: tuple[Rival, ...] = ()  # others who write its power policy
    why: Optional[Why] = None  # None: not on the bus
    kept_awake: bool = False  # by a quirk, as its d3cold_allowed stands: held and not entered

    @property
    def held(self) -> bool:
        """Tell whether the helper says that it has the device open."""
        return self.hold is not None and self.hold.held

    @property
    def drifted(self) -> bool:
        """Tell whether something has to be done; what is excused or for information has not."""
        return drifted(self.drift)


class Summary(NamedTuple):
    """The picture in numbers. ``drift`` counts differences, all others count devices."""

    devices: int
    declared: int
    held: int
    asleep: int
    awake: int
    unknown: int
    drift: int
    excused: int


class HostView(NamedTuple):
    """The whole picture. ``limited``: taken without root, so not everything could be seen."""

    host: HostFacts
    helper: HelperView
    declaration: Declaration
    devices: tuple[DeviceView, ...]
    matched: dict[str, int]  # rule name: how many devices it has
    passed_over: tuple[PassedOver, ...]
    drift: tuple[Drift, ...]  # what concerns the host and none of its devices
    limited: bool = False
    rivals: tuple[Rival, ...] = ()  # lines of others that decide about the sleep of some device

    @property
    def all_drift(self) -> tuple[Drift, ...]:
        """Return the host's differences and those of each device."""
        return self.drift + tuple(drift for view in self.devices for drift in view.drift)

    @property
    def drifted(self) -> Optional[bool]:
        """Tell whether anything has to be done; None where what is declared was not seen."""
        if drifted(self.all_drift):
            return True
        return None if self.limited else False

    def device(self, address: PciAddress) -> Optional[DeviceView]:
        """Return one device's view, or None where it is not in the picture."""
        return next((view for view in self.devices if view.address == address), None)

    def summary(self) -> Summary:
        """Count."""
        views = self.devices
        asleep = sum(view.power is not None and view.power.asleep for view in views)
        awake = sum(view.power is not None and view.power.power_state == "D0" for view in views)
        return Summary(
            devices=len(views),
            declared=sum(view.rule is not None for view in views),
            held=sum(view.held for view in views),
            asleep=asleep,
            awake=awake,
            unknown=len(views) - asleep - awake,
            drift=sum(drift.severity == DRIFT for drift in self.all_drift),
            excused=sum(any(drift.severity == EXCUSED for drift in view.drift) for view in views),
        )
