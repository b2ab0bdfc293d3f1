# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The name of somebody to whom devices are lent."""

from __future__ import annotations

import re

_HOLDER = re.compile(r"[A-Za-z0-9._:/@-]{1,128}", re.ASCII)


def parse_holder(text: str) -> str:
    """Return the name. Raises ValueError with a sentence that says what would be right."""
    if _HOLDER.fullmatch(text) is None:
        right = "1 to 128 letters, digits or any of . _ : / @ -"
        raise ValueError(f"{text[:40]!r} is no name of a holder: {right}")
    return text
