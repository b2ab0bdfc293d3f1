# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The helper in a process of its own, on a fake host, for what only a whole process shows.

Started as a program it serves until its input ends, and does what stands there line by line:
``wake ADDRESS`` lets an hour pass, has somebody touch the device, and waits for the re-entry.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Optional

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.client import Client
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress

from ..fake.host import FakeHost
from ..hold.helper import PATIENCE, Helper, rule

NIC = PciAddress.parse("0000:02:00.0")
DISK = PciAddress.parse("0000:03:00.0")
DELAY = 5.0
HOUR = 3600.0  # seconds; who sleeps so long between two wakes is in no storm
COLLECTIONS = Path(__file__).parents[8]
MODULE = ".".join(Path(__file__).with_suffix("").relative_to(COLLECTIONS).parts)


class Footprint(NamedTuple):
    """What a process takes up; memory in MiB."""

    memory: float
    peak: float
    descriptors: int
    threads: int


class Standalone:
    """Runs it for the length of a block, with NIC in entry-with-wakeup and DISK in entry."""

    def __init__(self, folder: Path) -> None:
        self.client = Client(str(folder / "socket"), timeout=PATIENCE)
        self._folder = folder
        self._journal = folder / "journal"

    def __enter__(self) -> Standalone:
        command = [sys.executable, "-m", MODULE, str(self._folder)]
        environ = {**os.environ, "PYTHONPATH": str(COLLECTIONS), "PYTHONDONTWRITEBYTECODE": "1"}
        with self._journal.open("wb") as journal:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=journal,
                env=environ,
                encoding="utf-8",
                bufsize=1,
            )
        self._told("ready")
        return self

    def wake(self, address: PciAddress, count: int) -> None:
        """Have a device woken, and wait until it is entered again, so often."""
        assert self._process.stdin is not None
        for _turn in range(count):
            self._process.stdin.write(f"wake {address}\n")
            self._told("done")

    def footprint(self) -> Footprint:
        """Look at the process from outside."""
        proc = Path(f"/proc/{self._process.pid}")
        lines = (line.split() for line in (proc / "status").read_text().splitlines())
        status = {words[0]: words[1] for words in lines if len(words) > 1}
        memory, peak = (int(status[name]) / 1024 for name in ("VmRSS:", "VmHWM:"))
        return Footprint(memory, peak, len(os.listdir(proc / "fd")), int(status["Threads:"]))

    def _told(self, word: str) -> None:
        assert self._process.stdout is not None
        ready, _none, _none = select.select([self._process.stdout], [], [], PATIENCE)
        line = self._process.stdout.readline().strip() if ready else "nothing"
        if line != word:
            self._process.kill()
            self._process.communicate()
            raise AssertionError(f"{line!r}; {self._journal.read_text()[-5000:]}")

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        try:
            out, _none = self._process.communicate(timeout=PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
        told = self._journal.read_text()
        assert (self._process.returncode, out) == (0, ""), told[-5000:]
        assert "Traceback" not in told


def main(folder: Path) -> None:
    host = FakeHost(folder / "host")
    helper = Helper(host, folder)
    for address in (NIC, DISK):
        host.add(str(address))
    helper.start()
    try:
        helper.apply(
            rule(NIC, "entry-with-wakeup", reentry={"delay": DELAY}),
            rule(DISK, "entry"),
        )
        print("ready", flush=True)
        for line in sys.stdin:
            _word, address = line.split()
            wake(helper, PciAddress.parse(address))
            print("done", flush=True)
    finally:
        helper.stop()


def wake(helper: Helper, address: PciAddress) -> None:
    before = helper.device(address).wakes
    assert before is not None
    helper.pass_time(HOUR)
    helper.host.touch_device(address)
    helper.until(address, state="waiting")
    helper.pass_time(2 * DELAY)
    after = helper.until(address, state="entry-with-wakeup").wakes
    assert after is not None
    assert after.foreign == before.foreign + 1
    helper.host.calls.clear()  # the fake host's memory is not what is measured


if __name__ == "__main__":
    main(Path(sys.argv[1]))
