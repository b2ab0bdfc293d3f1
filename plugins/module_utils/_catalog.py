# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts that explain the journal's entries: as they are installed, and as the journal has them.

Private to this collection. ``journalctl -x`` reads one database of all catalogs of a host, which is
made anew from them on demand.
"""

from __future__ import annotations

from pathlib import Path

CATALOG = "usr/local/lib/systemd/catalog/vfio-powerd.catalog"
DATABASE = "var/lib/systemd/catalog/database"
OURS = b"\nDefined-By: vfio.power\n"
"""What is in each text of this collection, and in no other one."""


def is_outdated(root: Path) -> bool:
    """Tell whether the journal has other texts of ours than are installed, or lacks them.

    A host without a database has no use for one, or makes it when it boots.
    """
    try:
        known = (root / DATABASE).read_bytes()
    except OSError:
        return False
    texts = installed(root)
    return known.count(OURS) != len(texts) or not all(text in known for text in texts)


def installed(root: Path) -> list[bytes]:
    """Return the texts as the journal stores them: without their IDs and comments."""
    try:
        content = (root / CATALOG).read_bytes()
    except OSError:
        return []
    lines = content.split(b"\n")
    plain = b"\n".join(line for line in lines if not line.startswith((b"#", b";")))
    entries = (b"\n" + plain).split(b"\n-- ")[1:]
    return [entry.partition(b"\n")[2].strip() + b"\n" for entry in entries]


def remaking(root: str) -> list[str]:
    """Return the command that makes the database anew."""
    elsewhere = [] if root == "/" else [f"--root={root}"]
    return ["journalctl", *elsewhere, "--update-catalog"]
