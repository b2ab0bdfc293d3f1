# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control socket, as the service manager's own tool and other users see it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from .dying import CARDS, main_pid
from .managed import ManagedHost

LAB = {"shape": "standard"}

NAME = "io.vfiopower.Helper1"
SOCKET = f"/run/vfio-power/{NAME}"


def varlinkctl(host: ManagedHost, words: str, given: str = "") -> str:
    """Run the tool on the host, insist on its success, and return what it printed."""
    return host.lab.ssh(f"varlinkctl --json=short {words}", input=given).stdout


def ask(host: ManagedHost, method: str) -> dict[str, Any]:
    """Call a method without parameters."""
    answer: dict[str, Any] = json.loads(varlinkctl(host, f"call {SOCKET} {NAME}.{method} '{{}}'"))
    return answer


def nobody_asks(host: ManagedHost) -> subprocess.CompletedProcess[str]:
    """Have a user without privileges call a method."""
    call = f"varlinkctl call {SOCKET} {NAME}.GetStatus '{{}}'"
    return host.lab.ssh(f"runuser -u nobody -- {call}", check=False)


def test_the_socket_tells_its_interfaces_in_the_language_they_are_defined_in(
    main: ManagedHost,
) -> None:
    about = json.loads(varlinkctl(main, f"info {SOCKET}"))
    assert about["product"] == "vfio-powerd"
    assert set(about["interfaces"]) == {NAME, "org.varlink.service"}
    for interface in about["interfaces"]:
        text = main.lab.ssh(f"varlinkctl introspect {SOCKET} {interface}").stdout
        assert f"\ninterface {interface}\n" in text
        varlinkctl(main, "validate-idl", given=text)


def test_its_methods_can_be_called_by_hand(main: ManagedHost) -> None:
    assert ask(main, "GetStatus")["pid"] == main_pid(main)
    devices = ask(main, "List")["devices"]
    assert {it["address"] for it in devices if it["held"]} == {main.address(it) for it in CARDS}
    unknown = main.lab.ssh(f"varlinkctl call {SOCKET} {NAME}.Levitate '{{}}'", check=False)
    assert unknown.returncode
    assert "org.varlink.service.MethodNotFound" in unknown.stderr + unknown.stdout


def test_a_user_without_privileges_is_refused(main: ManagedHost) -> None:
    refused = nobody_asks(main)
    assert refused.returncode
    assert "Permission denied" in refused.stderr


def test_a_socket_that_somebody_opened_to_all_refuses_them_still(main: ManagedHost) -> None:
    main.lab.ssh(f"chmod 666 {SOCKET}")
    try:
        refused = nobody_asks(main)
    finally:
        main.lab.ssh(f"chmod 600 {SOCKET}")
    assert refused.returncode
    assert "org.varlink.service.PermissionDenied" in refused.stderr + refused.stdout
    assert "generation" not in refused.stdout
