# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the helper costs while it holds many devices and nothing happens: memory and wake-ups."""

from __future__ import annotations

from tests.lab.managed import ManagedHost
from tests.lab.monitoring import FOLDER, METRICS
from tests.lab.progress import LabError

from .findings import Finding

MEBIBYTES = 20
WITH_METRICS = 21  # MiB
SECONDS = 30
SETTLED = 20
"""Seconds without a write, after which the next one comes minutes later."""

SIGNS_OF_LIFE = 3
"""In that time, for the service manager's watchdog: one every 15 seconds, and one for the edges."""

# A thread that slept and runs again has switched voluntarily once more by the time it sleeps.
_LOOK = """
import glob, re, sys, time
pid, seconds = sys.argv[1], int(sys.argv[2])

def switches():
    texts = [open(path).read() for path in glob.glob(f"/proc/{pid}/task/*/status")]
    return sum(int(re.search(r"^voluntary_ctxt_switches:\\s+(\\d+)", it, re.M)[1]) for it in texts)

before = switches()
time.sleep(seconds)
print(switches() - before)
"""


def measure(host: ManagedHost) -> list[Finding]:
    """Look at the process from outside, over a time in which nobody asks it anything.

    First as it is by default, then writing metrics, as it would where somebody is interested,
    but not in that time.
    """
    about = f"{len(host.lab.devices)} devices held"
    memory = "memory of the helper"
    plain = Finding(memory, _mebibytes(host), MEBIBYTES, " MiB", f"VmRSS, {about}")
    host.lab.ssh(f"mkdir -p {FOLDER}")
    host.converge(vfio_power_helper_metrics_path=METRICS)
    _wait_until_written(host)
    metering = f"{memory} that writes metrics"
    wakeups = int(host.lab.ssh(f"python3 -I - {_pid(host)} {SECONDS}", input=_LOOK).stdout)
    if not all(host.held(name) for name in ("rng00", "rng95")):
        raise LabError("The helper does not hold the devices that it was to hold.")
    return [
        plain,
        Finding(metering, _mebibytes(host), WITH_METRICS, " MiB", f"VmRSS, {about}"),
        Finding(f"wake-ups of the idle helper in {SECONDS} s", wakeups, SIGNS_OF_LIFE, "", about),
    ]


def _pid(host: ManagedHost) -> str:
    return host.lab.ssh("systemctl show --value -p MainPID vfio-powerd").stdout.strip()


def _mebibytes(host: ManagedHost) -> float:
    status = host.lab.ssh(f"grep VmRSS /proc/{_pid(host)}/status").stdout
    return int(status.split()[1]) / 1024


def _wait_until_written(host: ManagedHost) -> None:
    """Wait until what happened last is in the metrics: they are written twice, 15 s apart."""

    def old() -> bool:
        written, now = map(int, host.lab.ssh(f"stat -c %Y {METRICS}; date +%s").stdout.split())
        return now - written > SETTLED

    host.lab.wait_for(old, 4 * SETTLED, "the metrics to be written for the last time")
