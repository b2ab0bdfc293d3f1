# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole helper at work on a fake host: its loop in a thread, asked over its socket.

Time is the real one until a test lets it jump, so that nobody sits through a grace.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Callable, Generic, NamedTuple, Optional, TypeVar

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.interface import TEXT
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.wire import (
    report_from_json,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.client import Client
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.connection import Call
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.daemon import Daemon
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.steward import MOMENT
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.systemd import Notifier
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.descriptor import OwnedFd
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    HelperUnreachable,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import HoldReport

from ..fake.fdstore import FakeFdStore
from ..fake.host import FakeHost
from ..fake.trouble import Gate
from ..think.idl import Interface, checked_error, checked_reply

INTERFACE = Interface(TEXT)
PATIENCE = 10.0  # seconds that a state gets to come about
T = TypeVar("T")


class Clock:
    """The clocks that nobody sets, for a loop that can be made to believe that time has passed."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.suspended = 0.0  # seconds of it in which the host slept

    def __call__(self) -> float:
        return time.monotonic() + self.ahead - self.suspended

    def uptime(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME) + self.ahead


class Manager(Notifier):
    """A service manager that remembers the last line of status it was told."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        super().__init__(environ)
        self.status_line = ""

    def _tell(self, words: Mapping[str, str], patience: float = 0.0) -> None:
        self.status_line = words.get("STATUS", self.status_line)
        super()._tell(words)


class Applied(NamedTuple):
    """What Apply answered."""

    generation: int
    actions: dict[PciAddress, tuple[str, ...]]
    devices: dict[PciAddress, HoldReport]
    pending: list[str]


class Helper:
    """Starts, asks and stops the helper. Its folders stay between one start and the next."""

    def __init__(self, host: FakeHost, folder: Path, **settings: float) -> None:
        self.host = host
        self.clock = Clock()
        self.state, self.run = folder / "state", folder / "run"
        self.run.mkdir()
        self.environ = {
            "STATE_DIRECTORY": str(self.state),
            "RUNTIME_DIRECTORY": str(self.run),
            **{f"VFIO_POWER_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.client = Client(str(folder / "socket"), timeout=PATIENCE)
        self.etc = folder / "etc"
        self.quirks = self.etc / "quirks.d"
        self.etc.mkdir()
        self.store = FakeFdStore(host.kernel)
        self.told_wrongly: list[str] = []  # what was not as the interface's text says
        self._thread: Optional[threading.Thread] = None

    def start(self) -> None:
        """Start it as systemd does: the socket is there first."""
        if os.path.exists(self.client.path):
            os.unlink(self.client.path)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.client.path)
        self._make(listener)
        self._thread = threading.Thread(target=self.daemon.loop.run, name="helper")
        self._thread.start()
        self.client.call("GetStatus")  # answered once it is ready

    def _make(self, listener: socket.socket) -> None:
        """Put it together, and let it begin."""
        listener.listen()
        host = self.host
        self.uevents = host.uevents()
        self.manager = Manager(dict(self.environ))
        self.daemon = Daemon(
            listener,
            self.uevents,
            host.kernel,
            self.environ,
            self.manager,
            self.store,
            self.store.hand_over(),
            host.sysfs,
            host.dev,
            self.clock,
            self.clock.uptime,
            lambda: 0.5,  # waits are neither shorter nor longer than declared
            str(self.etc),
        )
        watch_answers(self.daemon, self.told_wrongly)
        self.daemon.begin()

    def stop(self) -> None:
        """Stop it as the service manager does on systemctl stop: what it holds is let go before."""
        if self._thread is None:
            return
        self.client.call("LetGo", timeout=PATIENCE + 60)
        self.terminate()
        self.store.clear()

    def terminate(self) -> None:
        """End it as SIGTERM does, which is all that a restart is."""
        assert self._thread is not None
        self.daemon.loop.call_soon_threadsafe(self.daemon.stop)
        self._end()

    def kill(self) -> None:
        """End it as SIGKILL does, between two of its steps."""
        self.daemon.loop.call_soon_threadsafe(self.daemon.loop.stop)
        self._end()

    def kill_in_a_call(self, gate: Gate) -> None:
        """Kill it while a worker is in a call, which comes to its end without anybody to hear."""
        self.daemon.loop.call_soon_threadsafe(self.daemon.loop.stop)
        gate.open()
        self.daemon.workers.close(PATIENCE)
        self.kill()

    def restart(self) -> None:
        """Stop it with SIGTERM and start it again in the same boot."""
        self.terminate()
        self.start()

    def boot(self) -> None:
        """Stop it and start it again in another boot, which empties /run."""
        self.stop()
        self.next_boot()
        self.start()

    def die(self) -> None:
        """Let the host die with the helper on it, and come up again without it."""
        self.kill()
        self.store.clear()
        self.next_boot()

    def next_boot(self) -> None:
        """Leave what survives a boot, and that is not /run."""
        shutil.rmtree(self.run)
        self.run.mkdir()
        self.environ["BOOT_ID"] = self.environ.get("BOOT_ID", "") + "1"

    def _end(self) -> None:
        assert self._thread is not None
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the helper does not end"
        self.daemon.close()
        assert not self.told_wrongly
        for descriptor in list(self._descriptors()):
            descriptor.close()  # as the end of a process does
        self._thread = None

    def _descriptors(self) -> Iterator[OwnedFd]:
        """Return what is held, by looking into the parts: the helper itself never closes it so."""
        for holder in self.daemon.keeper._holders.values():
            if holder.grip is not None:
                yield holder.grip.device.node
                yield from holder.grip.counters
        for shared in self.daemon._grips._shared.values():
            yield shared.way_in.node

    def apply(
        self,
        *rules: dict[str, Any],
        exclude: Iterable[dict[str, Any]] = (),
        timeout: Optional[float] = None,
    ) -> Applied:
        """Make these rules the declaration, and wait until every device has settled."""
        self.settle()  # what the bus told before is past
        return self._apply(rules, exclude, timeout)

    def applying(self, *rules: dict[str, Any]) -> Asking[Applied]:
        """Do so right now, whatever else is under way."""
        return Asking(lambda: self._apply(rules, (), None))

    def held_up_in(self, operation: str, rule: dict[str, Any]) -> Gate:
        """Begin to apply a rule by address; return the gate at which that call on it hangs."""
        gate = self.host.hold_up(PciAddress.parse(rule["address"]), operation)
        self.applying(rule)
        assert gate.reached.wait(PATIENCE)
        return gate

    def _apply(
        self,
        rules: Iterable[dict[str, Any]],
        exclude: Iterable[dict[str, Any]],
        timeout: Optional[float],
    ) -> Applied:
        parameters = {
            "rules": list(rules),
            "exclude": list(exclude),
            "expected_generation": self.client.call("GetStatus")["generation"],
            "timeout": timeout,
        }
        answer = self.client.call("Apply", parameters)
        outcomes = {
            PciAddress.parse(it["device"]["address"]): (it["device"], tuple(it["actions"]))
            for it in answer["outcomes"]
        }
        return Applied(
            answer["generation"],
            {address: actions for address, (_device, actions) in outcomes.items()},
            {address: report_from_json(device) for address, (device, _actions) in outcomes.items()},
            answer["pending"],
        )

    def release(
        self, address: PciAddress, holder: str, ttl: Optional[float] = None
    ) -> dict[PciAddress, HoldReport]:
        """Give a device to a holder."""
        parameters = {"addresses": [str(address)], "holder": holder, "ttl": ttl}
        return _by_address(self.client.call("Release", parameters, timeout=PATIENCE + 10))

    def reclaim(
        self, address: PciAddress, holder: Optional[str] = None
    ) -> dict[PciAddress, HoldReport]:
        """Take a device back."""
        parameters = {"addresses": [str(address)], "holder": holder}
        return _by_address(self.client.call("Reclaim", parameters))

    def rearm(self, address: PciAddress) -> HoldReport:
        """Let a device sleep once more that a quirk keeps awake."""
        return _by_address(self.client.call("Rearm", {"addresses": [str(address)]}))[address]

    @contextmanager
    def held_off(self, *addresses: PciAddress) -> Iterator[list[str]]:
        """Have devices left awake in a block; it gets those on which a call hangs."""
        parameters = {"addresses": [str(address) for address in addresses]}
        with closing(self.client.stream("HoldOff", parameters, PATIENCE)) as answers:
            yield next(answers, {})["pending"]

    def know_bad(self, *rows: dict[str, str]) -> None:
        """Write these quirks as the host's owner does; read when the table is made anew."""
        self.quirks.mkdir(exist_ok=True)
        file = self.quirks / "10.json"
        file.write_text(json.dumps(list(rows)))
        file.chmod(0o644)

    def devices(self) -> dict[PciAddress, HoldReport]:
        """Return every device as List tells it."""
        return _by_address(self.client.call("List"))

    def device(self, address: PciAddress) -> HoldReport:
        """Return one of them."""
        return self.devices()[address]

    def until(self, address: PciAddress, **wanted: object) -> HoldReport:
        """Wait until List tells these values of a device."""

        def stands() -> bool:
            report = self.devices().get(address, HoldReport(address))
            return all(getattr(report, name) == value for name, value in wanted.items())

        wait_until(stands, f"{address} becomes {wanted}")
        return self.devices().get(address, HoldReport(address))

    def pass_time(self, seconds: float) -> None:
        """Let the helper believe that time has passed, and do what is due then."""
        self.clock.ahead += seconds
        self.settle()

    def pass_time_while_blocked(self, seconds: float) -> None:
        """Do so while workers are blocked; what they have begun is known by then."""
        self.in_loop(lambda: None)
        self.clock.ahead += seconds
        self.in_loop(lambda: None)
        self.in_loop(lambda: None)  # timers are called after what other threads ask for

    def settle(self) -> None:
        """Wait until the helper has nothing left to do but to wait."""
        for _round in range(3):  # what is done in one may be the reason for another
            if self.in_loop(lambda: self.daemon.steward.looking):
                self.clock.ahead += MOMENT
            wait_until(lambda: self.in_loop(self._is_idle), "the helper is idle")

    def in_loop(self, work: Callable[[], T]) -> T:
        """Run something in the loop's thread and return what it returns."""
        done, results = threading.Event(), []

        def run() -> None:
            results.append(work())
            done.set()

        self.daemon.loop.call_soon_threadsafe(run)
        assert done.wait(PATIENCE), "the loop does not answer"
        return results[0]

    def _is_idle(self) -> bool:
        daemon = self.daemon
        return not daemon.workers.busy and not daemon.clerk.busy and not daemon.steward.looking


class Asking(Generic[T]):
    """A client that waits for its answer in a thread."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._answers: list[T] = []
        self._errors: list[Exception] = []
        self._thread = threading.Thread(target=self._ask, args=[ask], name="client", daemon=True)
        self._thread.start()

    def answer(self) -> T:
        """Return the answer, or raise the error that came instead."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "no answer"
        for error in self._errors:
            raise error
        return self._answers[0]

    @property
    def waits(self) -> bool:
        """Tell whether no answer has come so far."""
        return self._thread.is_alive()

    def _ask(self, ask: Callable[[], T]) -> None:
        try:
            self._answers.append(ask())
        except Exception as error:
            self._errors.append(error)


class Tape:
    """Everything that Monitor tells, from a first picture to the end of the helper."""

    def __init__(self, helper: Helper) -> None:
        self.told: list[dict[str, Any]] = []
        helper.settle()
        self._helper = helper
        self._thread = threading.Thread(target=self._record, name="tape", daemon=True)
        self._thread.start()
        wait_until(lambda: bool(self.told), "Monitor answers")

    def events(self, address: Optional[PciAddress] = None) -> list[str]:
        """Return what happened so far, to one device or to all."""
        told = [it for it in self.told if address is None or it.get("address") == str(address)]
        return [it["event"] for it in told if it["event"] != "snapshot"]

    def has(self, event: str, address: PciAddress) -> bool:
        """Tell whether something has happened."""
        return event in self.events(address)

    def _record(self) -> None:
        try:
            for told in self._helper.client.stream("Monitor"):
                self.told.append(told)
        except HelperUnreachable:
            return  # the helper was stopped


def watch_answers(daemon: Daemon, wrong: list[str]) -> None:
    """Check whatever the methods of a helper answer against the interface's text."""
    methods = daemon.service.methods()

    def watched(name: str, method: Callable[[Call], None]) -> Callable[[Call], None]:
        def begin(call: Call) -> None:
            reply, error = call.reply, call.error

            def check_reply(parameters: Any, continues: bool = False) -> None:
                wrong.extend(checked_reply(INTERFACE, name, dict(parameters)))
                reply(parameters, continues)

            def check_error(code: str, parameters: Any = None) -> None:
                wrong.extend(checked_error(INTERFACE, code, dict(parameters or {})))
                error(code, parameters)

            vars(call).update(reply=check_reply, error=check_error)
            method(call)

        return begin

    table = {name: watched(name, method) for name, method in methods.items()}
    vars(daemon.service)["methods"] = lambda: table


def rule(address: PciAddress, mode: str, **more: Any) -> dict[str, Any]:
    """Return a rule for one device, as it travels."""
    return {"name": str(address), "address": str(address), "mode": mode, **more}


def quirk(address: PciAddress, kind: str) -> dict[str, str]:
    """Return a row as a file has it."""
    told = {"reason": "its firmware forgets", "source": "ticket 12"}
    return {"address": str(address), "quirk": kind, **told}


def wait_until(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait for a condition, and fail when it does not come true in time."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"not in {patience:g} seconds: {what}"
        time.sleep(0.002)


def _by_address(answer: dict[str, Any]) -> dict[PciAddress, HoldReport]:
    reports = [report_from_json(device) for device in answer["devices"]]
    return {report.address: report for report in reports}
