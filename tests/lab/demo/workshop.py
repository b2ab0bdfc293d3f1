# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo works with: the installed collection, the example's folder, commands that are seen.

The example is docs/example, copied, with nothing added but how to reach the lab host.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread, Timer
from typing import NamedTuple

from ..collection import REPOSITORY
from ..host import Lab
from ..machine import until
from ..managed import BIN
from .screen import NotShown, Screen

EXAMPLE = REPOSITORY / "docs/example"
HOST = "hv1"
PATIENCE = 300
_ESCAPES = re.compile(r"\033\[[0-9;]*[mK]")


class Came(NamedTuple):
    """How a command ended, and what it said, without colours."""

    status: int
    text: str

    @property
    def changed(self) -> int:
        """The number of changed tasks by a playbook's recap."""
        counts = re.findall(r"changed=(\d+)", self.text)
        if not counts:
            raise NotShown(f"The playbook ended without a recap:\n{self.text}")
        return int(counts[-1])


class Workshop:
    """A controller with the collection installed, and the lab host that it manages."""

    def __init__(self, lab: Lab, screen: Screen) -> None:
        self.lab = lab
        self.screen = screen
        self.collections = lab.folder / "collections"
        self.example = lab.folder / "example"

    def lay_out(self) -> None:
        """Copy the example and add how to reach the lab host."""
        shutil.copytree(EXAMPLE, self.example)
        inventory = json.loads(self.lab.inventory().read_text())
        connection = inventory["all"]["hosts"]["lab"]
        place = self.example / "host_vars" / HOST / "connection.yml"
        place.write_text(json.dumps(connection, indent=2) + "\n")

    def play(self, words: str) -> Came:
        """Run a playbook of the collection in the example's folder."""
        command = ["ansible-playbook", *words.split()]
        self.screen.typed("$", shlex.join(command))
        return self._watched([str(BIN / command[0]), *command[1:]])

    def read(self, path: str) -> None:
        """Show a file of the example, without its licence."""
        self.screen.typed("$", f"cat {path}")
        for line in (EXAMPLE / path).read_text().split("\n\n", 1)[1].splitlines():
            self.screen.came(line)

    def on_host(self, command: str, ok: tuple[int, ...] = (0,)) -> Came:
        """Run a command on the lab host; another exit status than those ends the demo."""
        self.screen.typed(f"{HOST}#", command)
        came = self._watched(self._over_ssh(command))
        if came.status not in ok:
            raise NotShown(f"'{command}' on the lab host ended with {came.status}.")
        return came

    @contextmanager
    def watching(self) -> Iterator[Callable[[str], None]]:
        """Show what the helper reports while other things happen.

        Gives a function that waits until a text was reported.
        """
        command = "vfio-powerctl watch"
        self.screen.typed(f"{HOST}#", f"{command} &")
        process = self._start(self._over_ssh(f"exec {command}"))
        seen: list[str] = []
        reader = Thread(target=self._read, args=(process, seen, "|"), daemon=True)
        reader.start()

        def reported(text: str) -> None:
            if not until(lambda: any(text in line for line in seen), 60):
                raise NotShown(f"'{command}' never said '{text}'. It said:\n" + "\n".join(seen))

        try:
            yield reported
        finally:
            # Ends ssh; the far end notices when it next writes, or with the lab.
            process.terminate()
            process.wait()
            reader.join(5)

    # How commands are run

    def _over_ssh(self, command: str) -> list[str]:
        return [*self.lab.ssh_command(), f"export COLUMNS={self.screen.width - 2}; {command}"]

    def environment(self) -> dict[str, str]:
        """What ansible-playbook is told besides the example's ansible.cfg."""
        return {
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_HOME": str(self.lab.folder / "ansible"),
            "PWD": str(self.example),  # where the report goes
        }

    def _full_environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ANSIBLE_")}
        colours = "ANSIBLE_FORCE_COLOR" if self.screen.colours else "ANSIBLE_NOCOLOR"
        return {
            **inherited,
            **self.environment(),
            colours: "1",
            "COLUMNS": str(self.screen.width - 2),
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }

    def _watched(self, command: list[str]) -> Came:
        process = self._start(command)
        lines: list[str] = []
        limit = Timer(PATIENCE, process.kill)
        limit.start()
        try:
            self._read(process, lines, " ")
            return Came(process.wait(), "\n".join(lines))
        finally:
            limit.cancel()
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            env=self._full_environment(),
            cwd=self.example,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def _read(self, process: subprocess.Popen[str], lines: list[str], mark: str) -> None:
        if process.stdout is None:
            return
        for line in map(str.rstrip, process.stdout):
            # Several empty lines are one, and none is first or last.
            if line and lines and not lines[-1]:
                self.screen.came("", mark)
            if line:
                self.screen.came(line, mark)
            lines.append(_ESCAPES.sub("", line))
