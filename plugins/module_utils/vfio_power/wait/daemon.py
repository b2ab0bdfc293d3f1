# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vfio-powerd: puts the parts together and serves until it is told to stop."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Callable, Optional

from ..hold.bars import Bars
from ..hold.errands import Errands
from ..hold.grips import Grips, Kept
from ..hold.histories import Histories
from ..hold.jobs import Jobs
from ..hold.keeper import Keeper
from ..hold.marks import Marks
from ..hold.pausing import Pausing
from ..hold.quarantine import Quarantine
from ..hold.surroundings import DescriptorStore
from ..hold.table import Tables
from ..hold.windows import Windows
from ..think.entries import OF_DEVICES, fields_of, text_of
from ..touch.chronicles import HistoryFile
from ..touch.distrust import DistrustFile
from ..touch.fdstore import FdStore
from ..touch.graces import Graces
from ..touch.kernel import Kernel, Linux
from ..touch.leases import FOLDER as RUN
from ..touch.leases import Leases
from ..touch.marked import MarkFiles
from ..touch.quirks import QUIRKS
from ..touch.quirks import load as known_bad
from ..touch.records import Records
from ..touch.standby import ETC, PauseFile, off_switch
from ..touch.store import FOLDER as STATE
from ..touch.store import Store
from ..touch.sysfs import Sysfs
from ..touch.udev import Uevents, UeventsLost, described
from ..words.address import PciAddress
from ..words.errors import InputError
from ..words.version import VERSION
from .around import Around, dice
from .boot import boot_id, first_start_in_this_boot, note_start
from .journal import complain, tell, tell_failure, write
from .loop import Loop, boot_time
from .server import Server
from .service import Service
from .settings import settings_from
from .slept import SystemSleep
from .standing import Standing
from .steward import Steward
from .systemd import Notifier, handed_over
from .workers import Workers

if TYPE_CHECKING:
    from .metering import Meter

REST_WITHIN = 10.0  # seconds at the end, for calls that are under way
WRITTEN_WITHIN = 5.0  # seconds at the end, for what is to be written; as many for what still is


class Daemon:
    """All parts of one running helper. The kernel's side comes in as arguments."""

    def __init__(
        self,
        listener: socket.socket,
        uevents: Uevents,
        kernel: Kernel,
        environ: Mapping[str, str],
        manager: Notifier,
        store: DescriptorStore,
        kept: Iterable[Kept],
        sysfs: Sysfs,
        dev: str = "/dev",
        clock: Callable[[], float] = time.monotonic,
        uptime: Callable[[], float] = boot_time,
        chance: Callable[[], float] = dice,
        etc: str = ETC,
    ) -> None:
        settings = settings_from(environ)
        self._run = environ.get("RUNTIME_DIRECTORY", RUN)
        self._listener = listener
        self._manager = manager
        self._uevents = uevents
        self.loop = Loop(tell_failure, clock, uptime)
        self.workers = Workers(self.loop, settings.workers)
        self.clerk = Workers(self.loop, 1)  # for the table; devices may keep all others
        self._system_sleep = SystemSleep(clock, uptime)
        self._grips = Grips(kernel, store, sysfs.cdev, dev)
        self._kept = list(kept)
        around = Around(self.loop, self.workers, uptime, chance)
        desk = Around(self.loop, self.clerk, uptime, chance)
        state, boot = environ.get("STATE_DIRECTORY", STATE), boot_id(environ)
        marks = Marks(desk, MarkFiles(state, self._run), boot)
        quarantine = Quarantine(desk, DistrustFile(state), self._happened, _quarantine_unwritten)
        histories = Histories(desk, HistoryFile(state), sysfs.power, boot, _history_unwritten)
        errands = Errands(sysfs, self._grips, marks, dev)
        pausing = Pausing(desk, PauseFile(state), lambda: off_switch(environ, etc))
        records, bars = Records(self._run), Bars(quarantine, pausing)
        jobs = Jobs(around, settings.workers, self._changed)
        self.keeper = Keeper(
            around, errands, jobs, Windows(clock), records, bars, marks, histories, self._happened
        )
        quirks = partial(known_bad, f"{etc}/{QUIRKS}", os.geteuid())
        tables = Tables(Store(state), sysfs, described, quirks)
        self.steward = Steward(
            desk, self.keeper, tables, Leases(self._run), Graces(self._run), settings
        )
        self._meter: Optional[Meter] = None
        if settings.metrics_path:
            path, steward = settings.metrics_path, self.steward
            from .metering import Meter  # and all that judges: megabytes, for those who want it

            self._meter = Meter(
                self.loop, self.keeper, sysfs, path, uptime, lambda: steward.damaged
            )
        self._standing = Standing(self.keeper, manager)
        about = {"boot_id": boot, "workers": settings.workers, "pid": os.getpid()}
        self.service = Service(self.keeper, self.steward, about, lambda: store.count, self._changed)
        self.server: Optional[Server] = None

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. What is held then stays with the service manager."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.on_signal(number, self.stop)
        self.begin()
        self.loop.run()

    def begin(self) -> None:
        """Load what is declared; clients are served, and devices taken, once the loop runs."""
        fresh = first_start_in_this_boot(self._run)
        grace = self.steward.settings.boot_grace if fresh else 0.0
        self.loop.watch(self._uevents.fileno(), self._read_uevents)
        if self._manager.patience:
            self._show_life()
        self.keeper.bars.quarantine.restore(self.keeper.marks)
        self.keeper.bars.pausing.restore()
        if self.keeper.bars.damaged:
            tell("damaged", self.keeper.bars.damaged)
        self.keeper.histories.restore()
        if self.keeper.histories.damaged:
            tell("damaged", self.keeper.histories.damaged)
        self.steward.start(grace, self._take_over, self._ready)

    def stop(self) -> None:
        """End, with no call to a device under way; who wants them let go says so before."""
        self._manager.stopping(f"{len(self.keeper.held())} devices stay as they are")
        self.keeper.come_to_rest(self._at_rest, REST_WITHIN)

    def close(self) -> None:
        """Give back what the helper itself has open. Devices are not its own: they stay open."""
        if self.server is not None:
            self.server.close()
        self._listener.close()
        self.loop.unwatch(self._uevents.fileno())
        self._uevents.close()
        self.clerk.close(WRITTEN_WITHIN)
        self.workers.close()
        if self._meter is not None:
            self._meter.workers.close()
        self.loop.close()

    def _at_rest(self) -> None:
        """End once all is on disk that is to outlive us, or when that takes too long."""
        self.loop.call_in(WRITTEN_WITHIN, self.loop.stop)
        histories = self.keeper.histories
        self.keeper.bars.quarantine.when_written(lambda: histories.write(self.loop.stop))

    def _take_over(self) -> None:
        grips, rest = self._grips.take_over(self._kept)
        self._kept.clear()
        self.keeper.take_over(grips, rest)
        if grips or rest:
            tell("held-on", f"{len(grips)} devices were held on, {len(rest)} groups are let go")

    def _ready(self) -> None:
        note_start(self._run)
        # Not before: an answer from an empty table would be believed.
        self.server = Server(self.loop, self._listener, self.service.methods())
        self._standing.ready(f"vfio-powerd {VERSION}")
        self._write_metrics()

    def _changed(self) -> None:
        self._standing.changed()
        if self._meter is not None:
            self._meter.happened()

    def _show_life(self) -> None:
        """Tell the manager that the loop turns, from within it and nowhere else.

        And look round, now that the helper is awake anyway: whether the host was switched off,
        whether it slept, and whether held devices are still there.
        """
        self._manager.alive()
        if self.keeper.bars.pausing.switched_off():
            self._changed()
            self.keeper.refresh_all()
        if self._system_sleep.happened():
            tell("host-slept", "the host slept: looking at the devices that may sleep")
            self.keeper.rounds.after_system_sleep()
        self.keeper.rounds.look_for_lost()
        self._write_metrics()
        self.loop.call_in(self._manager.patience / 2, self._show_life)

    def _write_metrics(self) -> None:
        if self._meter is not None and self.server is not None:  # not before all is known
            self._meter.write_if_due()

    def _read_uevents(self) -> None:
        try:
            for event in self._uevents.read():
                self.steward.uevent(event)
        except UeventsLost:
            self.steward.look_soon()

    def _happened(self, address: PciAddress, event: str, detail: str) -> None:
        entry = OF_DEVICES.get(event)
        if entry is not None:
            report, rule = self.keeper.report(address), self.keeper.table.rule(address)
            text = text_of(entry, address, detail)
            write(event, entry, text, fields_of(event, report, rule))
        if self._meter is not None:
            self._meter.happened()
        self.service.happened(address, event, detail)


def main() -> int:
    """Run the helper as systemd starts it; return the exit status."""
    environ = dict(os.environ)
    try:
        uevents = Uevents()
    except ImportError:
        complain("pyudev is missing for this Python: install the package python3-pyudev")
        return 1
    manager = Notifier(environ)
    try:
        handed = handed_over(environ)
    except ValueError as error:
        complain(f"the service manager keeps a descriptor for another version: {error}")
        return 1  # it keeps them all; to be started again, perhaps as that version
    if len(handed.sockets) != 1:
        complain("vfio-powerd is started by systemd: systemctl start vfio-powerd.socket")
        return 1
    store = FdStore(manager.path, _not_kept)
    store.kept_before(keepsake.name() for keepsake, _descriptor in handed.kept)
    listener = handed.sockets[0]
    try:
        daemon = Daemon(listener, uevents, Linux(), environ, manager, store, handed.kept, Sysfs())
    except InputError as error:
        complain(f"{error}; the role vfio.power.helper writes that into vfio-powerd.service")
        return 1
    try:
        daemon.run()
    finally:
        daemon.close()
    return 0


def _not_kept(error: OSError) -> None:
    tell("not-kept", f"the service manager did not hear which descriptors to keep: {error}")


def _quarantine_unwritten(error: OSError) -> None:
    reason = f"{error.filename}: {error.strerror}"
    tell("unwritten", f"{reason}. The quarantine is in force, but forgotten if the helper restarts")


def _history_unwritten(error: OSError) -> None:
    reason = f"{error.filename}: {error.strerror}"
    tell("unwritten", f"{reason}. What was counted since it was written last ends with the boot")
