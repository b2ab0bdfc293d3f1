# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens is in the journal of a host, for programs and, explained, for people."""

from __future__ import annotations

import json
from typing import Any

from .declared import REBIND
from .dying import came_back, main_pid
from .managed import ManagedHost

LAB = {"shape": "standard"}

READY = "c6e77471ff1d486eb4ed30dadaf4e381"
REQUESTED = "2592565f2f604621a2098ae6475a5fe3"
STOPPING = "ffb0588289634091b38d9e2f639e88e7"


def cursor(host: ManagedHost) -> str:
    """The place in the journal where it ends now."""
    told = host.lab.ssh("journalctl --sync; journalctl -q -o cat -n 1 --show-cursor").stdout
    return told.rpartition("-- cursor: ")[2].strip()


def entries(host: ManagedHost, since: str, *matches: str) -> list[dict[str, Any]]:
    """What the service wrote after that place."""
    which = f"-u vfio-powerd --after-cursor '{since}' {' '.join(matches)}"
    told = host.lab.ssh(f"journalctl --sync; journalctl -q -o json {which}").stdout
    return [json.loads(line) for line in told.splitlines()]


def test_a_helper_that_takes_over_says_so_from_inside_its_sandbox(main: ManagedHost) -> None:
    since, pid = cursor(main), main_pid(main)
    main.lab.ssh("systemctl restart vfio-powerd")
    came_back(main, pid)
    (ready,) = entries(main, since, f"MESSAGE_ID={READY}")
    assert ready["_PID"] == str(main_pid(main))
    assert ready["_TRANSPORT"] == "journal"
    assert (ready["SYSLOG_IDENTIFIER"], ready["PRIORITY"]) == ("vfio-powerd", "6")
    assert ready["VFIO_GENERATION"].isdecimal()
    (held,) = entries(main, since, "VFIO_EVENT=held-on")
    assert held["MESSAGE"].startswith("4 devices were held on")


def test_what_happens_to_a_device_is_found_by_its_address_and_explained(main: ManagedHost) -> None:
    since, address = cursor(main), main.address("nic")
    main.unbind("nic")
    main.probe("nic")
    (wanted,) = entries(main, since, f"VFIO_PCI_ADDRESS={address}", f"MESSAGE_ID={REQUESTED}")
    assert (wanted["VFIO_RULE"], wanted["VFIO_MODE"]) == ("nic", "entry-with-wakeup")
    assert wanted["PRIORITY"] == "5"
    explained = main.lab.ssh(f"journalctl -x -n 1 MESSAGE_ID={REQUESTED}").stdout
    assert f"Subject: Somebody else wants device {address}" in explained
    main.reaches("nic", "D3cold", seconds=REBIND + 15)


def test_a_stop_is_told_by_its_id(main: ManagedHost) -> None:
    since = cursor(main)
    main.lab.ssh("systemctl stop vfio-powerd")
    (stopping,) = entries(main, since, f"MESSAGE_ID={STOPPING}")
    assert stopping["MESSAGE"] == "letting 4 devices go"
    main.lab.ssh("systemctl start vfio-powerd")
