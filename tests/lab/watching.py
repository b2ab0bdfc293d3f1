# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to stay as it is: what sleeps, and what lies on the host's disk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from .outside import Outside

WRITTEN = (
    "/etc/systemd/system",
    "/etc/udev/rules.d",
    "/etc/vfio-power",
    "/usr/local",
    "/var/lib/vfio-power",
    "/run/vfio-power",
)
"""Where the collection writes."""

AROUND = ("/etc", "/usr/local", "/var/lib", "/run/systemd")
"""Where it could leave something."""

# Each of these is on a host that is managed; without one of them a look at files would be blind.
INSTALLED = (
    "/etc/systemd/system/vfio-powerd.service",
    "/etc/systemd/system/vfio-powerd.socket",
    "/etc/systemd/system/multi-user.target.wants/vfio-powerd.service",
    "/etc/systemd/system/sockets.target.wants/vfio-powerd.socket",
    "/usr/local/lib/systemd/catalog/vfio-powerd.catalog",
    "/usr/local/lib/vfio-power/current",
    "/usr/local/lib/vfio-power/installed.json",
    "/usr/local/sbin/vfio-powerctl",
    "/usr/local/share/bash-completion/completions/vfio-powerctl",
    "/usr/local/share/man/man8/vfio-powerctl.8",
    "/var/lib/vfio-power/declared.json",
    "/var/lib/vfio-power/devices.json",
)

# The helper writes histories in its own time, whatever else happens; the folder is as old as they.
_IN_ITS_OWN_TIME = re.compile(r"/var/lib/vfio-power(/history\.json.*)?")

# In a tracing instance of its own, which nobody else has anything to do with.
_COUNTING = """
import json, os, sys
folder = "/sys/kernel/tracing/instances/resumes-of-a-test"
def write(name, text):
    with open(f"{folder}/{name}", "w") as file:
        file.write(text)
if sys.argv[1] == "begin":
    os.mkdir(folder)
    write("events/rpm/rpm_resume/filter", " || ".join(f'name == "{it}"' for it in sys.argv[2:]))
    write("events/rpm/rpm_resume/enable", "1")
else:
    with open(f"{folder}/trace") as file:
        print(json.dumps([line.strip() for line in file if not line.startswith("#")]))
    os.rmdir(folder)
"""

# What the service manager notes of every process, session and unit that runs just now.
_FLEETING = re.compile(r". /run/systemd/(journal|sessions|transient|units|users)\b")


@contextmanager
def sleeping_on(host: Outside, *cards: str) -> Iterator[set[str]]:
    """Insist that cards sleep, and that they and those of their ports that do sleep on in a block.

    The kernel counts how long each was awake. The block gets the names of all that sleep.
    """
    before = host.seen(*cards, *host.ports(*cards))
    asleep = {name: it for name, it in before.items() if it.runtime_status == "suspended"}
    assert asleep.keys() >= set(cards), f"awake already: {sorted(set(cards) - asleep.keys())}"
    yield set(asleep)
    after = host.seen(*asleep)
    awake = {name: after[name].active_ms - it.active_ms for name, it in asleep.items()}
    woken = {name: f"{more} ms awake" for name, more in awake.items() if more}
    assert not woken, woken


@contextmanager
def resumes(host: Outside, *cards: str) -> Iterator[list[str]]:
    """Collect during a block how often the kernel is asked to wake cards, or their ports.

    A call for a device that is awake counts as well. Afterwards the list has the kernel's lines.
    """
    found: list[str] = []
    names = [host.address(card) for card in cards] + host.ports(*cards)
    host._python(_COUNTING, "begin", *names)
    try:
        yield found
    finally:
        found += json.loads(host._python(_COUNTING, "end"))


@contextmanager
def no_resumes(host: Outside, *cards: str) -> Iterator[None]:
    """Insist that cards sleep, and that nobody asks the kernel in a block to wake them or a port.

    This sees a wake that is too short to count as a millisecond awake.
    """
    with resumes(host, *cards) as found, sleeping_on(host, *cards):
        yield
    assert not found, "\n".join(found)


def written(host: Outside) -> dict[str, str]:
    """Each file, folder and link where the collection writes: which one, of when, to where."""
    find = f"find {' '.join(WRITTEN)} -printf '%p\\t%i %y %T@ %C@ %l\\n' 2>/dev/null || :"
    listing = host.lab.ssh(find).stdout
    lines = (line.split("\t") for line in listing.splitlines())
    found = {path: about for path, about in lines if not _IN_ITS_OWN_TIME.fullmatch(path)}
    assert found.keys() >= set(INSTALLED), sorted(set(INSTALLED) - found.keys())
    return found


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """The paths that came, went or were written between two looks."""
    return {path for path, _of_when in before.items() ^ after.items()}


def everything(host: Outside) -> set[str]:
    """Each file, folder and link around the collection: what it is, and where a link leads."""
    listing = host.lab.ssh(f"find {' '.join(AROUND)} -printf '%y %p %l\\n'").stdout
    return {line for line in listing.splitlines() if not _FLEETING.match(line)}
