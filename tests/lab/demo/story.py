# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo itself: the steps in the order in which they are told.

Every step ends with what the kernel says: sysfs for the power, the device's group node for who
has it. What the helper and the playbooks say is shown, and not taken as proof.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..managed import ManagedHost
from ..progress import LabError
from .screen import NotShown
from .workshop import Came, Workshop

DELAY = 5  # seconds; the example's reentry.delay
GUEST = "guest1"
QEMU = (
    "qemu-system-x86_64 -machine q35 -m 64 -nodefaults -display none"
    " -device vfio-pci,host={address} -daemonize -pidfile /run/{guest}.pid"
)


class Card(NamedTuple):
    """A card of the lab as the example speaks of it."""

    name: str  # in the lab
    address: str
    about: str


class Story:
    """The lab host hv1, from a host that keeps every device awake to a drift report."""

    def __init__(self, workshop: Workshop) -> None:
        self.shop = workshop
        self.screen = workshop.screen
        self.kernel = ManagedHost(workshop.lab, workshop.collections)
        self.uplink = self._card("nic", "network card, declared as entry-with-wakeup")
        self.disk = self._card("disk", "NVMe disk, declared as entry")
        self.standby = self._card("spare", "network card, declared as none and reserved")
        self.other = self._card("warm", "network card, not declared, for comparison")
        self.cards = (self.uplink, self.disk, self.standby, self.other)

    def tell(self) -> None:
        """Tell all of it; whatever does not show what it claims ends it."""
        self.before()
        self.converge()
        self.converge_again()
        self.wake()
        self.lend()
        self.report()

    def before(self) -> None:
        """A host as operators leave it when some card does not sleep well."""
        self.screen.step(
            "A host that keeps every passed-through device awake",
            "The host runs vfio-pci with disable_idle_d3=1, as hosts do on which one card came back"
            " broken from its sleep. driverctl puts four cards on vfio-pci. All of them stay awake"
            " in D0 and burn power, though no guest uses any of them.",
        )
        self.screen.plain("")
        for card in self.cards:
            self.screen.came(f"  {card.address}  {card.about}")
        for card in self.cards:
            self.shop.on_host(f"driverctl set-override {card.address} vfio-pci")
        self.shop.on_host("cat /sys/module/vfio_pci/parameters/disable_idle_d3")
        self._show_power_states()
        self._claim_states(dict.fromkeys(self.cards, "D0"))
        for card in self.cards:
            self._claim_free(card)

    def converge(self) -> None:
        """Declare one device of each mode."""
        self.screen.step(
            "Say how each device should be, and converge",
            "These variables declare one device of each mode; the fourth card is not mentioned. The"
            " playbook installs the helper, which opens the declared devices and allows them to"
            " sleep. An undeclared device is not touched.",
        )
        self.shop.read("group_vars/hypervisors.yml")
        self.shop.read("host_vars/hv1/devices.yml")
        self._play_well("vfio.power.converge")
        self.shop.on_host("vfio-powerctl list")
        self._claim_as_declared()

    def converge_again(self) -> None:
        """The second run changes nothing."""
        self.screen.step(
            "The same playbook again",
            "A second run changes nothing on the host, and it must not wake what sleeps: the kernel"
            " counts the milliseconds that a device was awake, and they stand still.",
        )
        asleep = (self.uplink, self.disk)
        before = self.kernel.seen(*(card.name for card in asleep))
        came = self._play_well("vfio.power.converge")
        after = self.kernel.seen(*(card.name for card in asleep))
        self.screen.claim(came.changed == 0, "changed=0", f"changed={came.changed}")
        for card in asleep:
            was, now = before[card.name].active_ms, after[card.name].active_ms
            fact = f"{card.address} slept through it: awake for {was} ms in all, before and after"
            self.screen.claim(was == now, fact, f"it was awake for {now - was} ms more")

    def wake(self) -> None:
        """Somebody runs lspci."""
        self.screen.step(
            "Somebody wakes a device",
            "lspci reads the configuration space of the card, and the kernel has to wake it for"
            " that. In entry-with-wakeup the helper is told, counts a wake by somebody else, and"
            f" puts the card back to sleep after the declared delay of {DELAY} s.",
        )
        with self.shop.watching() as reported:
            reported(self.disk.address)  # the list with which the report begins
            self.shop.on_host(f"lspci -s {self.uplink.address}")
            reported("woken by somebody else")
            self._claim_states({self.uplink: "D0"}, seconds=2)
            reported("low power allowed")
            self._claim_states({self.uplink: "D3cold"}, seconds=20)
        self.shop.on_host(f"vfio-powerctl show {self.uplink.address}")

    def lend(self) -> None:
        """A guest gets the device, and gives it back."""
        address = self.uplink.address
        self.screen.step(
            "A guest gets its device, and gives it back",
            "The helper lets go of the card when it is asked to release it: it wakes it, sees that"
            " it came back well, and closes it. Then a QEMU guest can have it. A device that was"
            " given away is excused and not drift.",
        )
        self.shop.on_host(f"vfio-powerctl release {address} --holder {GUEST}")
        self._claim_free(self.uplink)
        self.shop.on_host(QEMU.format(address=address, guest=GUEST))
        self._claim_holder(self.uplink, {"qemu-system-x86"}, "a QEMU process")
        self._claim_states({self.uplink: "D0"}, seconds=10)
        self.shop.on_host("vfio-powerctl list --check")
        self.screen.note("The guest ends, and the helper takes the card back.")
        self.shop.on_host(f"kill $(cat /run/{GUEST}.pid)")
        self._wait_until_free(self.uplink)
        self.shop.on_host(f"vfio-powerctl reclaim {address}")
        self._claim_as_declared()

    def report(self) -> None:
        """What drift looks like, without any and with some."""
        self.screen.step(
            "Is everything as declared?",
            "The drift playbook only looks: it changes nothing, wakes nothing, and fails where a"
            " host is not as its variables say. First on the host as it is.",
        )
        self._play_well("vfio.power.drift")
        self.screen.note(
            "A report that always says yes proves nothing. Somebody gives the reserved card"
            " to another driver, and the report has to tell."
        )
        self.shop.on_host(f"driverctl set-override {self.standby.address} none")
        came = self.shop.play("vfio.power.drift")
        told = came.status != 0 and f"not-bound: {self.standby.address}" in came.text
        self.screen.claim(
            told, f"the report fails, and names {self.standby.address}", f"it ended {came.status}"
        )

    # What is claimed, and what the kernel says of it

    def _card(self, name: str, about: str) -> Card:
        return Card(name, self.kernel.address(name), about)

    def _play_well(self, words: str) -> Came:
        came = self.shop.play(words)
        if came.status:
            raise NotShown(f"The playbook {words} ended with {came.status}.")
        return came

    def _claim_as_declared(self) -> None:
        self._claim_states({self.uplink: "D3cold", self.disk: "D3cold"}, seconds=20)
        self._claim_states({self.standby: "D0", self.other: "D0"})
        for card in (self.uplink, self.disk, self.standby):
            fact = f"{card.address} is held by the helper, and nobody else can open it"
            self.screen.claim(self.kernel.held(card.name), fact, self._holders(card))
        self._claim_free(self.other)

    def _claim_states(self, wanted: dict[Card, str], seconds: float = 2) -> None:
        for card, state in wanted.items():
            try:
                self.kernel.reaches(card.name, state, seconds)
            except LabError:
                found = self.kernel.power_state(card.name)
                raise NotShown(
                    f"{card.address} should be in {state}, and is in {found} after {seconds:g} s."
                ) from None
            self.screen.shown(f"{card.address} is in {state}")

    def _claim_free(self, card: Card) -> None:
        free = self.kernel.openable(card.name)
        self.screen.claim(free, f"{card.address} is held by nobody", self._holders(card))

    def _claim_holder(self, card: Card, commands: Iterable[str], whose: str) -> None:
        found = self.kernel.held_by(card.name)
        fact = f"{card.address} is held by {whose}"
        self.screen.claim(found == set(commands), fact, self._holders(card))

    def _wait_until_free(self, card: Card) -> None:
        what = f"{card.address} to be free again"
        self.shop.lab.wait_for(lambda: self.kernel.openable(card.name), 20, what)

    def _holders(self, card: Card) -> str:
        commands = self.kernel.held_by(card.name)
        return f"held by {', '.join(sorted(commands))}" if commands else "held by nobody"

    def _show_power_states(self) -> None:
        addresses = ",".join(card.address for card in self.cards)
        self.shop.on_host(f"grep . /sys/bus/pci/devices/{{{addresses}}}/power_state")
