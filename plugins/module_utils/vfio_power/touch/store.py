# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is declared on this host, and which devices that came to mean, kept over reboots.

Two files, each sealed with a checksum and kept with its previous generation. How the documents
look is for think/parse.py, how files survive a power cut for files.py.
"""

from __future__ import annotations

import json
import zlib
from typing import Callable, NamedTuple, TypeVar

from ..think.documents import declaration_document, known_document, parse_known
from ..think.parse import parse_declaration
from ..think.strict_json import NotStrict, read
from ..words.declaration import Declaration, Known
from ..words.errors import InputError
from .files import PREVIOUS, Folder

FOLDER = "/var/lib/vfio-power"
DECLARED = "declared.json"
DEVICES = "devices.json"
_FORMAT = 1

T = TypeVar("T")


class Loaded(NamedTuple):
    """What was found; ``damaged`` is a sentence for each file that could not be used.

    ``lost``: something was declared, and nobody can tell what.
    """

    declaration: Declaration = Declaration()
    known: tuple[Known, ...] = ()
    damaged: str = ""
    lost: bool = False


class Store:
    """The host's declaration on disk."""

    def __init__(self, folder: str = FOLDER) -> None:
        self._folder = Folder(folder)

    def load(self) -> Loaded:
        """Read what is stored. Damage is told, never raised: the previous generation stands in.

        Raises PermissionError for those who may not look.
        """
        empty = Loaded()
        declaration, declared_damage = self._read(DECLARED, parse_declaration, empty.declaration)
        known, devices_damage = self._read(DEVICES, _parse_devices, empty.known)
        damaged = " ".join(filter(None, (declared_damage, devices_damage)))
        lost = bool(declared_damage) and declaration is empty.declaration
        return Loaded(declaration, known, damaged, lost)

    def save(self, declaration: Declaration, known: tuple[Known, ...]) -> bool:
        """Store both durably; tell whether anything differed. What is equal is not written."""
        declared = seal(declaration_document(declaration))
        devices = seal([known_document(device) for device in known])
        with self._folder.writing() as writer:
            first = writer.replace(DECLARED, declared, _sound(parse_declaration))
            second = writer.replace(DEVICES, devices, _sound(_parse_devices))
        return first or second

    def _read(self, name: str, parse: Callable[[object], T], empty: T) -> tuple[T, str]:
        try:
            return self._open(name, parse), ""
        except FileNotFoundError:
            reason = "is missing"
        except DamagedError as damage:
            reason = str(damage)
        path = f"{self._folder.path}/{name}"
        try:
            instead = self._open(name + PREVIOUS, parse)
        except FileNotFoundError:
            if reason == "is missing":
                return empty, ""  # nothing was stored so far
            return empty, f"{path} {reason}, and no previous generation is kept: taken as empty."
        except DamagedError as damage:
            return empty, f"{path} {reason}, and {name}{PREVIOUS} {damage}: taken as empty."
        return instead, f"{path} {reason}: the previous generation is used."

    def _open(self, name: str, parse: Callable[[object], T]) -> T:
        try:
            content = self._folder.read(name)
        except PermissionError:
            raise
        except OSError as error:
            raise DamagedError(f"cannot be read ({error.strerror})") from error
        if content is None:
            raise FileNotFoundError(name)
        return unseal(content, parse)


class DamagedError(ValueError):
    """A stored file is not what was written; the text continues a sentence about the file."""


def seal(document: object) -> bytes:
    """Return a document as it is stored: readable, and with the checksum of its content."""
    sealed = {"format": _FORMAT, "crc32": _checksum(document), "content": document}
    return (json.dumps(sealed, indent=1, sort_keys=True) + "\n").encode()


def unseal(content: bytes, parse: Callable[[object], T]) -> T:
    """Return what was sealed, or raise DamagedError."""
    try:
        sealed = read(content)
    except NotStrict as error:
        raise DamagedError(str(error)) from None
    if not isinstance(sealed, dict) or "content" not in sealed:
        raise DamagedError("has no content")
    if sealed.get("format") != _FORMAT:
        raise DamagedError(f"has format {sealed.get('format')!r}, and not {_FORMAT}")
    if sealed.get("crc32") != _checksum(sealed["content"]):
        raise DamagedError("was changed by something else (its checksum is wrong)")
    try:
        return parse(sealed["content"])
    except InputError as error:
        raise DamagedError(f"does not make sense ({error})") from None


def _checksum(document: object) -> str:
    plain = json.dumps(document, sort_keys=True, separators=(",", ":"))
    # Damage is looked for here, not malice; hashlib would bring OpenSSL, 4.5 MB in the helper.
    return f"{zlib.crc32(plain.encode()):08x}"


def _sound(parse: Callable[[object], object]) -> Callable[[bytes], bool]:
    def sound(content: bytes) -> bool:
        try:
            unseal(content, parse)
        except DamagedError:
            return False
        return True

    return sound


def _parse_devices(document: object) -> tuple[Known, ...]:
    if not isinstance(document, list):
        raise DamagedError("is not a list of devices")
    return tuple(parse_known(device) for device in document)
