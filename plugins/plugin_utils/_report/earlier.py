# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports that other runs have written, to be merged with what this run has seen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from .fleet import FORMAT, host_again
from .values import Document, items, mapping


class EarlierError(Exception):
    """A file is not what it should be; the text names it and says what to do."""


def hosts_in(path: str) -> Iterator[Document]:
    """Yield the hosts of a report.json."""
    report = mapping(_read(path))
    if report.get("format") != FORMAT:
        raise EarlierError(
            f"{path}: is no report of format {FORMAT}, but of {report.get('format')!r}. Name a"
            " report.json that this version of vfio.power has written."
        )
    for each in items(report.get("hosts")):
        yield host_again(mapping(each))


def _read(path: str) -> object:
    try:
        return json.loads(Path(path).read_bytes())
    except OSError as error:
        raise EarlierError(
            f"{path}: {error.strerror}. Name a report.json of an earlier run."
        ) from error
    except (ValueError, RecursionError) as error:
        raise EarlierError(f"{path}: is no JSON ({error}). Make that report again.") from error
