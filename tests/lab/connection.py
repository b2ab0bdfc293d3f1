# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way into a lab host: ssh as root, with the key of the run, over one shared connection."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from pathlib import Path
from typing import Any

from .progress import LabError

USER_AT_HOST = "root@127.0.0.1"
GREETING, LONGEST_GREETING = 1.0, 10.0
"""Seconds in which a host that is up names its protocol; each time in vain it is given more."""


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Connection:
    """To the host whose ssh is forwarded to a port of this machine."""

    def __init__(self, folder: Path) -> None:
        self.key = folder / "key"
        self.socket = folder / "ssh"
        self.name = folder.name
        self.port = 0
        self._greeting = GREETING

    def make_key(self) -> None:
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(self.key)]
        subprocess.run(command, check=True)

    @property
    def public_key(self) -> str:
        """The key itself, without its type and comment."""
        return self.key.with_suffix(".pub").read_text().split()[1]

    def command(self) -> list[str]:
        """ssh with every option, up to and including the host."""
        return ["ssh", *self._options(), "-p", str(self.port), USER_AT_HOST]

    def run(
        self, command: str, check: bool, timeout: float, given: str | None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self.command(), command],
            capture_output=True,
            text=True,
            timeout=timeout,
            input=given or "",
            check=False,
        )
        if check and done.returncode:
            raise LabError(
                f"In lab {self.name}, {command!r} ended with {done.returncode}:\n"
                f"{done.stdout}{done.stderr}"
            )
        return done

    def answers(self) -> bool:
        """Whether somebody can log in by now."""
        if not self._greets():
            return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.run("true", check=False, timeout=30, given=None).returncode == 0
        return False

    def _greets(self) -> bool:
        """Whether sshd is there, asked anew each time.

        A connection that QEMU opened before the host had a network waits for seconds afterwards.
        """
        try:
            with socket.create_connection(("127.0.0.1", self.port), self._greeting) as asking:
                greets = asking.recv(4) == b"SSH-"
        except TimeoutError:
            self._greeting = min(1.5 * self._greeting, LONGEST_GREETING)
            return False
        except OSError:
            return False
        self._greeting = GREETING if greets else self._greeting
        return greets

    def put(self, source: str, destination: str) -> None:
        self._scp(source, f"{USER_AT_HOST}:{destination}")

    def get(self, source: str, destination: str) -> None:
        self._scp(f"{USER_AT_HOST}:{source}", destination)

    def _scp(self, source: str, destination: str) -> None:
        command = ["scp", "-q", "-r", *self._options(), "-P", str(self.port), source, destination]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"Copying {source} to {destination} failed: {done.stderr.strip()}")

    def forget(self) -> None:
        """End the shared connection: its other end is about to go, or went without a word."""
        if not self.socket.exists():
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            leave = [*self.command(), "-O", "exit"]
            subprocess.run(leave, capture_output=True, timeout=30, check=False)
        self.socket.unlink(missing_ok=True)

    def _options(self) -> list[str]:
        # A new connection costs seconds of emulated cryptography; one is shared by everybody.
        return [
            *("-F", "none", "-i", str(self.key), "-o", "IdentitiesOnly=yes"),
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
            *("-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20"),
            *("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"),
            *("-o", "ControlMaster=auto", "-o", "ControlPersist=600"),
            *("-o", f"ControlPath={self.socket}"),
        ]

    def ansible_variables(self) -> dict[str, Any]:
        """What Ansible has to know to come the same way."""
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_pipelining": True,
            "ansible_ssh_args": " ".join(self._options()),
            "ansible_ssh_timeout": 60,
        }
