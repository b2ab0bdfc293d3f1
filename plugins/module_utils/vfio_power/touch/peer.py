# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is at the other end of a Unix socket, as the kernel says."""

from __future__ import annotations

import socket
import struct

_PEER = struct.Struct("3i")  # struct ucred: pid, uid, gid


def peer_uid(link: socket.socket) -> int:
    """Return the user on whose behalf the other end was connected, or made to listen."""
    ucred = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    _pid, uid, _gid = _PEER.unpack(ucred)
    return int(uid)
