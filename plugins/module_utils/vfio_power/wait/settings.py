# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of the helper, and how its unit's environment says them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..think.parse_values import MOST_SECONDS, Problems, read_seconds, read_whole
from ..words.errors import InputError


class Settings(NamedTuple):
    """Seconds, and a number of threads."""

    boot_grace: float = 60.0
    rebind_delay: float = 60.0
    quiet_time: float = 30.0
    workers: int = 16


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Read the unit's settings; what is not set keeps its default. May raise InputError."""
    problems: Problems = []
    wanted = Settings()._asdict()
    for name, default in wanted.items():
        place = f"VFIO_POWER_{name.upper()}"
        given = environ.get(place, default)
        if name == "workers":
            wanted[name] = read_whole(given, place, problems, least=1)
        else:
            wanted[name] = read_seconds(given, place, problems, 0.0, MOST_SECONDS)
    if problems:
        raise InputError(problems)
    return Settings(**wanted)
