# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of the helper, and how its unit's environment says them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..think.parse_values import MOST_SECONDS, Problems, read_seconds, read_whole, shown
from ..words.errors import InputError, Problem


class Settings(NamedTuple):
    """Seconds, a number of threads, and where the metrics go; empty: nowhere."""

    boot_grace: float = 60.0
    rebind_delay: float = 60.0
    quiet_time: float = 30.0
    workers: int = 16
    metrics_path: str = ""


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Read the unit's settings; what is not set keeps its default. May raise InputError."""
    problems: Problems = []
    wanted = Settings()._asdict()
    for name, default in wanted.items():
        place = f"VFIO_POWER_{name.upper()}"
        given = environ.get(place, default)
        if name == "workers":
            wanted[name] = read_whole(given, place, problems, least=1)
        elif name == "metrics_path":
            wanted[name] = _read_metrics_path(str(given), place, problems)
        else:
            wanted[name] = read_seconds(given, place, problems, 0.0, MOST_SECONDS)
    if problems:
        raise InputError(problems)
    return Settings(**wanted)


def _read_metrics_path(given: str, place: str, problems: Problems) -> str:
    """Read a file's path; node_exporter takes those that end in ``.prom``."""
    if given and not (given.startswith("/") and given.endswith(".prom")):
        wrong = f"{shown(given)} is not the whole path of a file that ends in .prom"
        problems.append(Problem(place, wrong))
    return given
