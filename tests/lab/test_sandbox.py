# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The helper's sandbox: what it may not do, and that nobody waits for a helper that hangs.

That everything works inside of it is what all other tests show.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from .declared import DELAY, REBIND, main_rules, rule
from .dying import came_back, kept, main_pid
from .guests import guest
from .managed import ManagedHost
from .sandbox import (
    exposure,
    it_has_no_other_rights,
    it_is_bounded,
    it_opens_nodes_of_vfio_alone,
    traced,
)

LAB = {"shape": "standard"}

UNIT = "/etc/systemd/system/vfio-powerd.service"
UNBIND = "/sys/bus/pci/drivers/vfio-pci/unbind"
WATCHDOG = 30
"""Seconds of silence after which the unit has its helper ended."""


def test_the_service_is_hardly_exposed(main: ManagedHost) -> None:
    assert exposure(main) <= 1.0


def test_the_helper_can_do_nothing_else_that_root_can(main: ManagedHost) -> None:
    it_has_no_other_rights(main)


def test_it_may_open_the_nodes_of_vfio_and_no_others(main: ManagedHost) -> None:
    it_opens_nodes_of_vfio_alone(main)


def test_its_memory_tasks_and_files_are_bounded(main: ManagedHost) -> None:
    it_is_bounded(main)


def test_the_helper_runs_no_command_in_its_life(main: ManagedHost) -> None:
    nic, disk = main.address("nic"), main.address("disk")
    with traced(main) as trace:
        main.lab.ssh("systemctl restart vfio-powerd")
        pid = main_pid(main)
        main.put_back([*main_rules(main), rule(main, "warm", mode="entry")])
        main.lab.ssh(f"lspci -s {nic}")
        main.reaches("nic", "D3cold", seconds=DELAY + 15)
        main.ctl(f"release {disk} --holder somebody")
        main.ctl(f"reclaim {disk} --holder somebody")
        main.write(UNBIND, nic)
        main.lab.ssh(f"echo {nic} > /sys/bus/pci/drivers_probe")
        main.reaches("nic", "D3cold", seconds=REBIND + 15)
        main.lab.ssh("systemctl restart vfio-powerd")
    family = trace.begun_by(pid)
    assert len(family) > 1, "its threads were not seen"
    ran = trace.run_by(family)
    own = ran[ran.index("/usr/bin/python3") :]  # before it the manager was on its way to this
    assert own == ["/usr/bin/python3"]


def test_a_helper_that_hangs_is_replaced_and_holds_nobody_up(main: ManagedHost) -> None:
    """Somebody takes a driver away meanwhile, and somebody asks for a device until he has it."""
    before, pid, store = main.seen("disk", "rng"), main_pid(main), kept(main)
    spare = main.address("spare")
    ask = f"until vfio-powerctl release {spare} --holder guest; do sleep 1; done"
    main.lab.ssh(f"kill -STOP {pid}")
    with ThreadPoolExecutor(1) as beside:
        asking = beside.submit(main.lab.ssh, ask, timeout=3 * WATCHDOG)
        took = main.write(UNBIND, main.address("nic"), seconds=3 * WATCHDOG)
        asking.result()
    assert took < WATCHDOG + 20, f"the unbind took {took:.1f} s"
    came_back(main, pid)
    after = main.seen("disk", "rng")
    for card, was in before.items():
        assert after[card].active_ms == was.active_ms, f"{card} was woken"
        assert not main.openable(card)
    assert kept(main) == store - 2 * 5
    with guest(main, "spare"):
        assert main.held_by("spare") == {"qemu-system-x86"}
    main.ctl(f"reclaim {spare} --holder guest")
    main.lab.ssh(f"echo {main.address('nic')} > /sys/bus/pci/drivers_probe")
    main.reaches("nic", "D3cold", seconds=REBIND + 15)


@contextmanager
def masked(host: ManagedHost) -> Iterator[None]:
    """Mask the service, which is started by nobody then; afterwards it serves as before."""
    host.lab.ssh(f"mv {UNIT} {UNIT}.away; ln -s /dev/null {UNIT}; systemctl daemon-reload")
    try:
        yield
    finally:
        host.lab.ssh(f"mv {UNIT}.away {UNIT}; systemctl daemon-reload")
        host.lab.ssh("systemctl reset-failed 'vfio-powerd*'; systemctl start vfio-powerd.socket")
        host.lab.ssh("systemctl restart vfio-powerd")


def test_masked_and_killed_it_holds_up_no_unbind_and_no_guest(main: ManagedHost) -> None:
    with masked(main):
        main.lab.ssh("systemctl kill -s KILL vfio-powerd")
        took = main.write(UNBIND, main.address("nic"))
        assert took < 5, f"the unbind took {took:.1f} s"
        with guest(main, "disk"):
            assert main.held_by("disk") == {"qemu-system-x86"}
        main.lab.ssh(f"echo {main.address('nic')} > /sys/bus/pci/drivers_probe")
    main.put_back(main_rules(main))
    main.reaches("nic", "D3cold", seconds=REBIND + 15)
    assert main.held("disk")
