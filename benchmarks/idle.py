# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the helper costs while it holds many devices and nothing happens: memory and wake-ups."""

from __future__ import annotations

from tests.lab.managed import ManagedHost
from tests.lab.progress import LabError

from .findings import Finding

MEBIBYTES = 20
SECONDS = 30
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
after = switches()
kibibytes = re.search(r"^VmRSS:\\s+(\\d+) kB", open(f"/proc/{pid}/status").read(), re.M)[1]
print(kibibytes, after - before)
"""


def measure(host: ManagedHost) -> list[Finding]:
    """Look at the process from outside, over a time in which nobody asks it anything."""
    pid = host.lab.ssh("systemctl show --value -p MainPID vfio-powerd").stdout.strip()
    command = f"python3 -I - {pid} {SECONDS}"
    kibibytes, wakeups = host.lab.ssh(command, input=_LOOK).stdout.split()
    if not all(host.held(name) for name in ("rng00", "rng95")):
        raise LabError("The helper does not hold the devices that it was to hold.")
    about = f"{len(host.lab.devices)} devices held"
    memory = int(kibibytes) / 1024
    return [
        Finding("memory of the helper", memory, MEBIBYTES, " MiB", f"VmRSS, {about}"),
        Finding(
            f"wake-ups of the idle helper in {SECONDS} s", int(wakeups), SIGNS_OF_LIFE, "", about
        ),
    ]
