# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One family of errors; each is a sentence and, where one is known, a next step."""

from __future__ import annotations

import errno as errno_names
import os
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional


class VfioPowerError(Exception):
    """Something could not be done. ``hint`` is the next step someone can take."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Return the sentence followed by the next step."""
        return f"{self.message}. {self.hint}" if self.hint else self.message


class Problem(NamedTuple):
    """One thing wrong with an input: where it stands and what would be right."""

    place: str
    message: str

    def __str__(self) -> str:
        """Return ``place: message``."""
        return f"{self.place}: {self.message}"


class InputError(VfioPowerError):
    """An input was refused as a whole; every problem in it is named."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


class GenerationMismatch(VfioPowerError):
    """Somebody else stored a declaration since this one was read."""

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(
            f"the declaration was changed meanwhile (generation {actual}, expected {expected})",
            "Read it again and repeat the change",
        )
        self.expected = expected
        self.actual = actual


class KernelRefused(VfioPowerError):
    """The kernel said no. ``operation`` is what was asked, ``number`` the errno."""

    def __init__(self, operation: str, subject: str, number: int, hint: str = "") -> None:
        self.operation = operation
        self.subject = subject
        self.number = number
        self.errno_name = errno_names.errorcode.get(number, str(number))
        reason = f"{self.errno_name} ({os.strerror(number)})"
        super().__init__(f"{subject}: cannot {operation}: {reason}", hint)


class Unsupported(VfioPowerError):
    """The kernel or its driver does not offer the feature for this device."""


class HelperUnreachable(VfioPowerError):
    """The helper's socket does not answer."""


class HelperRefused(VfioPowerError):
    """The helper answered with an error: its Varlink ``name`` and its ``parameters``."""

    def __init__(
        self,
        name: str,
        message: str,
        hint: str = "",
        parameters: Optional[Mapping[str, Any]] = None,
    ) -> None:
        super().__init__(message, hint)
        self.name = name
        self.parameters = parameters or {}
