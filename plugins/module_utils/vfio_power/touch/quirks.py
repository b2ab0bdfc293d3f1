# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The quirks of this host: what is shipped, and what its owner wrote below /etc."""

from __future__ import annotations

import json
import os
import stat
from typing import NamedTuple

from ..think.parse_values import Problems
from ..think.quirks import SHIPPED, read_quirks
from ..words.quirk import Quirk
from .standby import ETC

QUIRKS = "quirks.d"
FOLDER = f"{ETC}/{QUIRKS}"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Loaded(NamedTuple):
    """All that is known; ``damaged`` is a sentence for each file that could not be used."""

    quirks: tuple[Quirk, ...] = SHIPPED
    damaged: str = ""


def load(folder: str = FOLDER, owner: int = 0) -> Loaded:
    """Read every ``*.json`` in the order of their names, after what is shipped.

    A file that others than ``owner`` may write is left out and told, and so is one that makes no
    sense: a typing error in one file must not take the quirks of another away.
    """
    found, damaged = list(SHIPPED), []
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".json"))
    except FileNotFoundError:
        names = []
    except OSError as error:
        return Loaded(damaged=f"{folder} cannot be read ({error.strerror}).")
    for name in names:
        path = f"{folder}/{name}"
        try:
            found += _read(path, owner)
        except (OSError, ValueError, RecursionError) as error:
            damaged.append(f"{path} is left out: {error}.")
    return Loaded(tuple(found), " ".join(damaged))


def _read(path: str, owner: int) -> tuple[Quirk, ...]:
    with open(path, encoding="utf-8") as file:
        status = os.fstat(file.fileno())
        if status.st_uid != owner or status.st_mode & _OTHERS_WRITE:
            raise ValueError("somebody else than root may write it")
        document = json.load(file)
    problems: Problems = []
    quirks = read_quirks(document, "quirks", problems)
    if problems:
        raise ValueError("; ".join(map(str, problems)))
    return quirks
