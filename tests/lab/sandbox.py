# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the helper's sandbox ask the host, on each Debian."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from .dying import main_pid
from .managed import ManagedHost

WORKERS = 16
DENIED = "Operation not permitted"

_EVENTS = ("sched_process_fork", "sched_process_exec")
_FORK = re.compile(r"sched_process_fork: .*? pid=(\d+) .*child_pid=(\d+)")
_EXEC = re.compile(r"sched_process_exec: filename=(\S+) pid=(\d+)")


def exposure(host: ManagedHost) -> float:
    """How exposed the service is by the service manager's own measure, from 0 to 10."""
    told = host.lab.ssh("systemd-analyze security --no-pager vfio-powerd.service").stdout
    (level,) = re.findall(r"exposure level for vfio-powerd\.service: ([\d.]+)", told)
    return float(level)


def it_has_no_other_rights(host: ManagedHost) -> None:
    """See that the helper has no capability, gets none, and has its system calls filtered."""
    status = host.lab.ssh(f"cat /proc/{main_pid(host)}/status").stdout
    words = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(words["CapEff"], 16) == int(words["CapBnd"], 16) == 0
    assert (words["NoNewPrivs"], words["Seccomp"]) == ("1", "2")


def it_opens_nodes_of_vfio_alone(host: ManagedHost) -> None:
    """Ask it by a process among the helper's own, which may do what else root may."""
    group = host.lab.ssh("systemctl show -P ControlGroup vfio-powerd").stdout.strip()
    join = f"echo $$ > /sys/fs/cgroup{group}/cgroup.procs"
    nodes = {"/dev/vfio/vfio": "", "/dev/vda": DENIED, "/dev/kmsg": DENIED, "/dev/mem": DENIED}
    for node, complaint in nodes.items():
        told = host.lab.ssh(f"sh -c '{join}; exec 3<{node}'", check=False)
        assert complaint in told.stderr, node
        assert bool(told.returncode) == bool(complaint), node


def it_is_bounded(host: ManagedHost) -> None:
    """See which memory, tasks and files the service may have."""
    bounds = {"MemoryMax": 128 << 20, "TasksMax": WORKERS + 16, "LimitNOFILE": 8192, "LimitCORE": 0}
    told = host.lab.ssh(f"systemctl show -p {','.join(bounds)} vfio-powerd").stdout.split()
    assert set(told) == {f"{name}={bound}" for name, bound in bounds.items()}


class Trace:
    """All processes and threads that began on the host, and what they ran, by the kernel's word."""

    def __init__(self) -> None:
        self.text = ""

    def begun_by(self, first: int) -> set[int]:
        """Return a process with everything that it began, and that began by it."""
        family = {first}
        for parent, child in _FORK.findall(self.text):
            if int(parent) in family:
                family.add(int(child))
        return family

    def run_by(self, family: set[int]) -> list[str]:
        """Return the programs that these ran, in order."""
        return [path for path, pid in _EXEC.findall(self.text) if int(pid) in family]


@contextmanager
def traced(host: ManagedHost) -> Iterator[Trace]:
    """Have the kernel note every process that begins or runs a program during a block."""
    switch = "; ".join(f"echo {{0}} > events/sched/{event}/enable" for event in _EVENTS)
    folder = "cd /sys/kernel/tracing"
    host.lab.ssh("mountpoint -q /sys/kernel/tracing || mount -t tracefs trace /sys/kernel/tracing")
    host.lab.ssh(f"{folder}; echo > trace; {switch.format(1)}")
    trace = Trace()
    try:
        yield trace
    finally:
        host.lab.ssh(f"{folder}; {switch.format(0)}")
        trace.text = host.lab.ssh("cat /sys/kernel/tracing/trace").stdout
