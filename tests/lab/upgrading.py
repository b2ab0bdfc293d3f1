# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of an upgrade have in common, on each Debian: another collection, and a watch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .declared import HELPER, main_rules, rule
from .dying import kept, main_pid
from .managed import ManagedHost, Played

PROGRAM = "ansible_collections/vfio/power/plugins/module_utils/vfio_power"
INSTALLED = "/usr/local/lib/vfio-power"
UNITS = "/etc/systemd/system/vfio-powerd.*"
WATCH, SEEN = "vfio-power-watch", "/run/vfio-power-watch.log"

ASLEEP = ("nic", "disk", "rng")
"""The cards that sleep on every host of these tests."""

Replaced = dict[str, tuple[str, str]]
"""Files of the program, each with a text in it and what stands in its place."""

_BEGINS = "    environ = dict(os.environ)\n"
SAME: Replaced = {
    "wait/daemon.py": ("from __future__", "# Not as it was.\nfrom __future__"),
}
NEWER: Replaced = {"words/version.py": ('VERSION = "0.1.0"', 'VERSION = "0.2.0"')}
RAISES: Replaced = {"wait/daemon.py": (_BEGINS, '    raise RuntimeError("not today")\n')}

# A group that is held by nobody can be opened; that has no effect on its devices.
_WATCH = """
import os, sys, time
print("begun", flush=True)
while True:
    for node in sys.argv[1:]:
        try:
            os.close(os.open(node, os.O_RDWR))
            print("free", node, flush=True)
        except OSError:
            pass
    time.sleep(0.01)
"""


def collection_with(collections: Path, folder: Path, replaced: Replaced) -> Path:
    """Return a copy of the collection with another program."""
    copy = folder / "collections"
    shutil.copytree(collections, copy)
    for name, (old, new) in replaced.items():
        path = copy / PROGRAM / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{name} has no {old!r}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return copy


def converge(host: ManagedHost, collections: Path, *more: dict[str, Any]) -> Played:
    """Run the converge playbook of another collection, with the main rules and more."""
    other = ManagedHost(host.lab, collections, host.bin_folder)
    rules = [*main_rules(host), *more]
    return other.play("vfio.power.converge", vfio_power_devices=rules, **HELPER)


def installed(host: ManagedHost) -> str:
    """All that is installed of the helper, file by file, but for when it was written."""
    files = f"find {INSTALLED} {UNITS} -not -path '*/__pycache__/*' -type f"
    return host.lab.ssh(
        f"readlink {INSTALLED}/current; {files} -exec sha256sum {{}} + | sort"
    ).stdout


def declared(host: ManagedHost) -> str:
    """The stored declaration, and which file it is in."""
    file = "/var/lib/vfio-power/declared.json"
    return host.lab.ssh(f"stat -c '%i %y' {file}; cat {file}").stdout


@contextmanager
def unmoved(host: ManagedHost, *asleep: str, awake: tuple[str, ...] = ()) -> Iterator[None]:
    """See that devices are held throughout a block, and none of those asleep is woken."""
    cards = (*asleep, *awake)
    before, store = host.seen(*cards), kept(host)
    nodes = " ".join(host.group_nodes(*cards).values())
    run = f"systemd-run --quiet --collect --unit {WATCH} --property StandardOutput=truncate:{SEEN}"
    host.lab.ssh(f"cat > /run/{WATCH}.py", input=_WATCH)
    host.lab.ssh(f"{run} python3 -I /run/{WATCH}.py {nodes}")
    seen = f"cat {SEEN}"
    host.lab.wait_for(lambda: host.lab.ssh(seen, check=False).stdout, 20, "the watch to begin")
    try:
        yield
    finally:
        told = host.lab.ssh(f"systemctl stop {WATCH}; {seen}; rm {SEEN} /run/{WATCH}.py").stdout
    assert told == "begun\n"
    after = host.seen(*cards)
    for card in asleep:
        assert after[card].active_ms == before[card].active_ms, f"{card} was woken"
    assert kept(host) == store


def an_update_moves_nothing(
    host: ManagedHost, collections: Path, folder: Path, *others: Replaced
) -> None:
    """Converge with other code, one after the other, and back to what it was."""
    steps = [collection_with(collections, folder / str(n), it) for n, it in enumerate(others)]
    for step in (*steps, collections):
        pid = main_pid(host)
        played = converge(host, step)
        assert played.status == 0, played.output
        assert main_pid(host) != pid, "it was not restarted"
    folders = host.lab.ssh(f"ls {INSTALLED}").stdout.split()
    assert folders == ["0.1.0", "current", "installed.json"]


def a_changed_socket_unit_comes_into_force(host: ManagedHost, collections: Path) -> None:
    """Converge after the socket's unit was edited: it is put right, and restarted."""
    since = "systemctl show -P ActiveEnterTimestampMonotonic vfio-powerd.socket"
    before, pid = int(host.lab.ssh(since).stdout), main_pid(host)
    host.lab.ssh("echo '# Edited.' >> /etc/systemd/system/vfio-powerd.socket")
    played = converge(host, collections)
    assert played.status == 0, played.output
    assert int(host.lab.ssh(since).stdout) > before, "the socket was not restarted"
    assert main_pid(host) != pid


def a_broken_update_is_taken_back(
    host: ManagedHost, collections: Path, folder: Path, breaks: Replaced
) -> str:
    """Converge with a helper that does not come up; return what the run said of it."""
    before, declaration = installed(host), declared(host)
    broken = collection_with(collections, folder, breaks)
    played = converge(host, broken, rule(host, "warm", mode="entry"))
    assert played.status != 0, played.output
    assert installed(host) == before
    assert declared(host) == declaration, "it was rewritten for a helper that did not come up"
    told = " ".join(host.ctl("version").stdout.split())
    assert told == "vfio-powerctl 0.1.0 (API revision 1) helper 0.1.0 (API revision 1)"
    return played.output
