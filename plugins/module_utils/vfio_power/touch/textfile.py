# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that another program reads at any time, such as node_exporter: it sees all or nothing."""

from __future__ import annotations

import os
from contextlib import suppress

from ..words.descriptor import OwnedFd
from .files import write_all

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOR_ALL = 0o644


def write(path: str, text: str) -> None:
    """Put a text in the place of a file. May block. Raises OSError that names the file.

    The folder may be somebody else's: no link is followed in it, and what is on the way has a
    name that no collector takes. Nothing is synced, as it is soon written again.
    """
    folder, name = os.path.split(path)
    try:
        with OwnedFd(os.open(folder, _FOLDER)) as place:
            _replace(place.fileno(), name, text.encode())
    except OSError as error:
        error.filename = path
        raise


def _replace(folder: int, name: str, content: bytes) -> None:
    new = f".{name}.new"
    with suppress(FileNotFoundError):
        os.unlink(new, dir_fd=folder)  # left by a writer that died
    with OwnedFd(os.open(new, _CREATE, _FOR_ALL, dir_fd=folder)) as file:
        os.fchmod(file.fileno(), _FOR_ALL)  # whatever our umask says
        write_all(file, content)
    os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
