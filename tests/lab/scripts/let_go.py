# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the lab host: how long after the kernel asked for a device it was let go.

Arguments: the address, the node of its group, and for how many seconds to wait. It says
"ready" once it watches. Its answer is the seconds from the kernel's word in its log, which comes
right before the request eventfd is signalled, until no process has the node open any more.
"""

from __future__ import annotations

import glob
import os
import sys
import time

WORDS = "Relaying device request to user"
GLANCE = 0.005


def openers(number: int) -> bool:
    """Tell whether a process has the device node of this number open."""
    for entry in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            if os.stat(entry).st_rdev == number:
                return True
        except OSError:
            continue
    return False


def asked(log: int, address: str) -> bool:
    """Read on in the kernel's log up to its end; tell whether it asked for the device."""
    found = False
    while True:
        try:
            line = os.read(log, 8192).decode(errors="replace")
        except BlockingIOError:
            return found
        found = found or (address in line and WORDS in line)


def wait(until: float, what: str) -> float:
    """Wait a little; return the time. Ends the program when it is too late."""
    time.sleep(GLANCE)
    if time.monotonic() > until:
        sys.exit(f"not in time: {what}")
    return time.monotonic()


def main() -> None:
    address, node, until = sys.argv[1], sys.argv[2], time.monotonic() + float(sys.argv[3])
    number = os.stat(node).st_rdev
    log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    os.lseek(log, 0, os.SEEK_END)
    print("ready", flush=True)
    request = time.monotonic()
    while not asked(log, address):
        request = wait(until, "the kernel's request")
    released = time.monotonic()
    while openers(number):
        released = wait(until, "the device to be let go")
    print(released - request, flush=True)


main()
