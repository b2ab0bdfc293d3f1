# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `make bench`: speed and memory on a virtual host with 96 devices, against bounds.

Every time on that host is a part of a ratio whose other part was measured in the same run, because
a number of seconds says more about the machine than about the program. The report of a fleet is
measured too, without any host.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.lab import base, collection
from tests.lab.cli import signals_unwind
from tests.lab.host import Lab
from tests.lab.managed import ManagedHost
from tests.lab.progress import LabError, Progress

from . import idle, opening, report, unchanged
from .findings import Finding, table

# In this order: the second wants what the first leaves open.
BENCHMARKS = (
    (opening.measure, "open every device, with one worker and with many"),
    (idle.measure, "look at the helper while nothing happens"),
    (unchanged.measure, "run a task that changes nothing, in turns with ping"),
)
SHORTCUT = "/usr/lib/python3/dist-packages/lab_byte_code.pth"
"""What spares the lab host to compile each task's Python, as any other host has to."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--debian", choices=base.RELEASES, default="13", help="of the virtual host")
    parser.add_argument("--report", action="store_true", help="only the report, without a host")
    options = parser.parse_args(arguments)
    progress = Progress()
    try:
        with signals_unwind():
            findings = _measure_report(progress)
            findings += [] if options.report else _measure(options.debian, progress)
    except (LabError, AssertionError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted, and cleaned up.\n")
        return 130
    sys.stdout.write(table(findings) + "\n")
    return 0 if all(finding.kept for finding in findings) else 1


def _measure_report(progress: Progress) -> list[Finding]:
    with tempfile.TemporaryDirectory(prefix="vfio-power-") as folder:
        with progress.step("build and install the collection"):
            collections = collection.install(Path(folder) / "collections")
        with progress.step("write reports of fleets, and open one in a browser"):
            return report.measure(collections, Path(folder))


def _measure(debian: str, progress: Progress) -> list[Finding]:
    findings = []
    _note_what_else_runs(progress)
    with Lab.start(shape="many", debian=debian, accel="tcg-multi", progress=progress) as lab:
        with progress.step("build and install the collection"):
            collections = collection.install(lab.folder / "collections")
        lab.ssh(f"rm {SHORTCUT}")
        host = ManagedHost(lab, collections)
        for measure, what in BENCHMARKS:
            with progress.step(what):
                findings += measure(host)
    return findings


def _note_what_else_runs(progress: Progress) -> None:
    """What is opened side by side needs both processors, what is opened in turn mostly waits."""
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    if load > processors / 2:
        progress.note(
            f"The machine is busy (load {load:.1f} on {processors} processors): opening many"
            " devices at once is going to look slower than it is."
        )


if __name__ == "__main__":
    sys.exit(main())
