# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the report of a fleet takes, how much memory, and how soon its page stands.

Each report is written by a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from .findings import Finding

PAGE, SMALL, LARGE = 1_000, 2_500, 10_000
DEVICES = 16
SECONDS, MEBIBYTES = 60, 1024
# Four times as many hosts against four times the processor's time. Python's collector of garbage,
# which grows a little faster, and noise have the rest.
LINEAR = 1.5
PAGE_SECONDS = 3


def measure(collections: Path, folder: Path) -> list[Finding]:
    """Write the reports of three fleets, and open the page of the smallest one."""
    _in_a_process(PAGE, collections, folder)
    small, large = (_in_a_process(hosts, collections, folder) for hosts in (SMALL, LARGE))
    fleet = f"{LARGE:,} hosts, {DEVICES} devices each"
    ratio = large["processor"] / (small["processor"] * LARGE / SMALL)
    times = f"{large['processor']:.1f} s / {LARGE // SMALL} x {small['processor']:.1f} s"
    return [
        Finding(f"report of {fleet}", large["seconds"], SECONDS, " s", "HTML, JSON and JUnit"),
        Finding("memory for it", large["mebibytes"], MEBIBYTES, " MiB", "maximum resident set"),
        Finding(f"{LARGE:,} hosts / {SMALL:,}, linear is 1", ratio, LINEAR, "", times),
        _page(*(folder / str(it) / "report.html" for it in (PAGE, SMALL)), folder / "profile"),
    ]


def _in_a_process(hosts: int, collections: Path, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.report", str(hosts), str(folder / str(hosts))]
    environment = {**os.environ, "PYTHONPATH": str(collections)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _page(path: Path, other: Path, profile: Path) -> Finding:
    from tests.report.browser import Browser

    with Browser.start(profile) as browser:
        browser.open(other)  # the first page of a browser waits for the browser
        seconds = browser.open(path)
    size = f"{path.stat().st_size / 1e6:.1f} MB, until its table stands"
    return Finding(f"page of {PAGE:,} hosts in a browser", seconds, PAGE_SECONDS, " s", size)


def main(hosts: int, folder: Path) -> None:
    """Write the report of a fleet, from what the controller has after its hosts were looked at."""
    from ansible_collections.vfio.power.plugins.plugin_utils._report import fleet, render
    from ansible_collections.vfio.power.tests.unit.plugins.plugin_utils import answers

    variables = dict(answers.variables_of(hosts, DEVICES))
    folder.mkdir()
    started, worked = time.monotonic(), time.process_time()
    rows = (fleet.host_of(name, those, answers.NOW) for name, those in variables.items())
    render.write(fleet.report_of(rows, answers.NOW, "0.1.0"), list(render.FILES), folder)
    found = {
        "seconds": time.monotonic() - started,
        "processor": time.process_time() - worked,
        "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
