# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One document in a file, with a checksum of its content, kept with its previous generation.

How the documents look is for those who keep them; how files survive a power cut is in files.py.
"""

from __future__ import annotations

import json
import os
import zlib
from typing import Callable, Generic, TypeVar

from ..think.strict_json import NotStrict, read
from ..words.errors import InputError
from .files import PREVIOUS, Folder, Writer

_FORMAT = 1

T = TypeVar("T")


class DamagedError(ValueError):
    """A stored file is not what was written; the text continues a sentence about the file."""


class SealedFile(Generic[T]):
    """A document that ``parse`` makes sense of, or ``empty`` where nothing was stored."""

    def __init__(self, folder: Folder, name: str, parse: Callable[[object], T], empty: T) -> None:
        self._folder = folder
        self._name = name
        self._parse = parse
        self._empty = empty

    def load(self) -> tuple[T, str]:
        """Read it, and say in a sentence why the file itself could not be used.

        Damage is told, never raised: the previous generation stands in. Raises PermissionError
        for those who are not root: they may not look.
        """
        try:
            return self._open(self._name), ""
        except FileNotFoundError:
            reason = "is missing"
        except DamagedError as damage:
            reason = str(damage)
        path, empty, previous = f"{self._folder.path}/{self._name}", self._empty, PREVIOUS
        try:
            instead = self._open(self._name + previous)
        except FileNotFoundError:
            if reason == "is missing":
                return empty, ""  # nothing was stored so far
            return empty, f"{path} {reason}, and no previous generation is kept: taken as empty."
        except DamagedError as damage:
            return empty, f"{path} {reason}, and {self._name}{previous} {damage}: taken as empty."
        return instead, f"{path} {reason}: the previous generation is used."

    def write(self, writer: Writer, document: object) -> bool:
        """Store a document; tell whether it differed. What is equal is not written."""
        return writer.replace(self._name, seal(document), self._sound)

    def _open(self, name: str) -> T:
        try:
            content = self._folder.read(name)
        except OSError as error:
            if isinstance(error, PermissionError) and os.geteuid() != 0:
                raise
            raise DamagedError(f"cannot be read ({error.strerror})") from error
        if content is None:
            raise FileNotFoundError(name)
        return unseal(content, self._parse)

    def _sound(self, content: bytes) -> bool:
        try:
            unseal(content, self._parse)
        except DamagedError:
            return False
        return True


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
