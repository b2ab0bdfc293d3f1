# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a kernel suspends and resumes PCI functions and the port above them.

Of runtime power management it has what can be told from outside: usage counts, power/control,
d3cold_allowed, and that a port coming out of D3cold takes everything below it along, also beyond
the ports of a switch. What VFIO makes of it is in vfio.py. Nothing takes time here, and callers
hold the host's lock.
"""

from __future__ import annotations

import time
from typing import Callable, Optional

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress


class Port:
    """A port that follows everything below it into D3cold, if it ``sleeps`` at all."""

    def __init__(
        self,
        address: PciAddress,
        *,
        sleeps: bool,
        hotplug: bool = False,
        above: Optional[Port] = None,
    ) -> None:
        self.address = address
        self.above = above  # the port that a switch is plugged into, or the switch's own
        self.sleeps = sleeps and not hotplug
        self.switched = sleeps  # the platform can cut its power, whether or not it sleeps
        self.hotplug = hotplug  # then Linux keeps it awake
        self.control = "auto" if self.sleeps else "on"
        self.suspended = False
        self.functions: list[Function] = []
        self.ports: list[Port] = []
        self.on_change: Callable[[], None] = lambda: None
        if above is not None:
            above.ports.append(self)

    def idle(self) -> None:
        """Sleep if nothing below is awake."""
        allowed = self.sleeps and self.control == "auto"
        ports = all(port.suspended for port in self.ports)
        if allowed and ports and all(function.lets_port_sleep for function in self.functions):
            self.suspended = True
            self._changed()
            if self.above is not None:
                self.above.idle()

    def resume(self) -> None:
        """Wake, and with it everything below; what has no reason to stay up sleeps again."""
        if self.above is not None:
            self.above.resume()
        if self.suspended:
            self._wake()
            self._rest()

    def _wake(self) -> None:
        self.suspended = False
        for port in self.ports:
            port._wake()
        for function in self.functions:
            function.resume()

    def _rest(self) -> None:
        for port in self.ports:
            port._rest()
        for function in self.functions:
            function.idle()
        self._changed()

    @property
    def runtime_status(self) -> str:
        """The PM core's word."""
        return "suspended" if self.suspended else "active"

    @property
    def power_state(self) -> str:
        """The PCI core's word."""
        return "D3cold" if self.suspended else "D0"

    def _changed(self) -> None:
        self.on_change()
        for function in self.functions:
            function.on_change()


class Function:
    """One PCI function under runtime power management."""

    def __init__(self, address: PciAddress, depth: str, port: Optional[Port]) -> None:
        self.address = address
        self.depth = depth  # where it goes when suspended: D0 (cannot sleep), D3hot, D3cold
        self.port = port
        self.control = "on"
        self.d3cold_allowed = True
        self.usage = 1  # control=on counts as one
        self.suspended = False
        self.resumes = 0
        self.broken = False  # does not come back: every resume fails
        self.lost = False  # does not come back, and the PM core does not notice
        self.on_resume: Callable[[], None] = lambda: None
        self.on_change: Callable[[], None] = lambda: None
        self._since = time.monotonic()
        self._spent = {"active": 0.1, "suspended": 0.0}  # it was there before the test
        if port is not None:
            port.functions.append(self)

    @property
    def runtime_status(self) -> str:
        """The PM core's word."""
        if self.broken:
            return "error"
        return "suspended" if self.suspended else "active"

    @property
    def power_state(self) -> str:
        """The PCI core's word."""
        if self.lost:
            return "D3cold"
        if not self.suspended or self.depth == "D0":
            return "D0"
        if self.port is not None and self.port.suspended:
            return "D3cold"
        return "D3cold" if self.depth == "D3cold" and self.d3cold_allowed else "D3hot"

    @property
    def lets_port_sleep(self) -> bool:
        """Tell whether the port may go to D3cold for all that this function cares."""
        return self.suspended and self.d3cold_allowed

    def spent_ms(self, status: str) -> int:
        """Return runtime_active_time or runtime_suspended_time."""
        running = time.monotonic() - self._since if status == self._status else 0.0
        return round((self._spent[status] + running) * 1000)

    def get(self) -> bool:
        """Take a usage count and wake; False if the device does not wake."""
        if self.broken:
            return False
        self.usage += 1
        self.resume()
        return True

    def put(self) -> None:
        """Give a usage count back, and sleep if it was the last."""
        self.usage -= 1
        self.idle()

    def idle(self) -> None:
        """Sleep if nobody uses the function."""
        if self.usage > 0 or self.suspended:
            return
        self._move(suspended=True)
        if self.port is not None:
            self.port.idle()

    def resume(self) -> None:
        """Wake, the port first."""
        if self.port is not None:
            self.port.resume()
        if self.suspended and not self.broken:
            self._move(suspended=False)
            self.resumes += 1
            self.on_resume()

    def read_config(self) -> None:
        """Be looked at: this wakes the port always, the function only out of D3cold."""
        cold = self.power_state == "D3cold"
        self.usage += 1
        if self.port is not None:
            self.port.resume()
        if cold:
            self.resume()
        self.put()
        if self.port is not None:
            self.port.idle()

    def write_control(self, control: str) -> None:
        """Write power/control; writing what it says already does nothing."""
        if control == self.control:
            return
        self.control = control
        if control == "on":
            self.get()
        else:
            self.put()
        self.on_change()

    def write_d3cold_allowed(self, *, allowed: bool) -> None:
        """Write d3cold_allowed; any write wakes, even of the same value."""
        self.d3cold_allowed = allowed
        self.resume()
        self.idle()
        self.on_change()

    @property
    def _status(self) -> str:
        return "suspended" if self.suspended else "active"

    def _move(self, *, suspended: bool) -> None:
        now = time.monotonic()
        # At least a millisecond, so that a time grew whenever something happened.
        self._spent[self._status] += max(now - self._since, 0.001)
        self._since = now
        self.suspended = suspended
        self.on_change()
