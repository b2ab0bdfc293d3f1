# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the host's policy for devices, and what it takes to keep it and to put it back.

The one place of the program that writes below /sys. Modules run it, the helper does not: its
sandbox shows it /sys read-only.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from typing import NamedTuple

from ..think.documents import identity_document, parse_identity, policy_document
from ..think.host_policy import Found, Write
from ..think.parse_digits import read_address
from ..think.parse_rule import read_policy
from ..think.parse_values import Problems, read_keys
from ..words.allowance import KNOBS
from ..words.descriptor import OwnedFd
from .files import Folder
from .sealed import DamagedError, SealedFile
from .store import FOLDER

FOUND = "found.json"
RULES = "/etc/udev/rules.d/62-vfio-power.rules"
_KEYS = ("address", "identity", *(knob.option for knob in KNOBS))


class Remembered(NamedTuple):
    """What was read; ``damaged`` says in a sentence why the file could not be used."""

    found: tuple[Found, ...] = ()
    rules: str = ""
    damaged: str = ""


class PolicyFiles:
    """What was found before us, and the rules for udev."""

    def __init__(self, folder: str = FOLDER, rules: str = RULES) -> None:
        self.rules = rules
        self._folder = Folder(folder)
        self._found: SealedFile[tuple[Found, ...]] = SealedFile(
            self._folder, FOUND, _parse_found, ()
        )

    def load(self) -> Remembered:
        """Read both. Raises OSError where the rules are there and cannot be read."""
        found, damaged = self._found.load()
        return Remembered(found, self._read_rules(), damaged)

    def remember(self, found: tuple[Found, ...]) -> None:
        """Store durably what was found; where nothing is left to remember, an empty list."""
        if found or self._folder.read(FOUND) is not None:
            with self._folder.writing() as writer:
                self._found.write(writer, [_document(it) for it in found])

    def keep(self, rules: str) -> None:
        """Put the rules in place in one step, or take them away. Udev sees it by itself."""
        if rules == self._read_rules():
            return
        if not rules:
            with suppress(FileNotFoundError):
                os.unlink(self.rules)
            return
        folder = os.path.dirname(self.rules)
        os.makedirs(folder, mode=0o755, exist_ok=True)
        handle, new = tempfile.mkstemp(dir=folder, prefix=f".{os.path.basename(self.rules)}.")
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(rules)
                os.fchmod(file.fileno(), 0o644)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, self.rules)
        except BaseException:
            os.unlink(new)
            raise

    def _read_rules(self) -> str:
        try:
            with open(self.rules, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""


def write_knob(write: Write, root: str = "/sys") -> None:
    """Write one attribute. Raises OSError."""
    path = f"{root}/bus/pci/devices/{write.address}/{write.knob.attribute}"
    with OwnedFd(os.open(path, os.O_WRONLY | os.O_CLOEXEC)) as attribute:
        os.write(attribute.fileno(), write.value.encode())


def _document(found: Found) -> dict[str, object]:
    identity = identity_document(found.identity)
    return {
        "address": str(found.address),
        "identity": identity,
        **policy_document(found.policy),
    }


def _parse_found(document: object) -> tuple[Found, ...]:
    if not isinstance(document, list):
        raise DamagedError("is not a list of devices")
    return tuple(_parse_one(item, f"found[{at}]") for at, item in enumerate(document))


def _parse_one(item: object, place: str) -> Found:
    problems: Problems = []
    given = read_keys(item, place, problems, _KEYS) or {}
    address = read_address(given.get("address"), f"{place}.address", problems)
    identity = parse_identity(given.get("identity"), f"{place}.identity")
    policy = read_policy(given, place, problems)
    if problems or address is None or identity is None:
        raise DamagedError(f"does not make sense ({'; '.join(map(str, problems))})")
    return Found(address, identity, policy)
