# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table that ``list`` prints: as wide as the screen, giving up what is easiest missed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, NamedTuple

from ..touch.view import DeviceView, HostView
from . import wording
from .paint import SEVERITY, Paint

GAP = "  "
ELLIPSIS = "…"


class Column(NamedTuple):
    """One column; ``least`` is the width that it may be cut to, 0 for never."""

    title: str
    text: Callable[[DeviceView], str]
    colour: Callable[[DeviceView], str] = lambda _view: ""
    least: int = 0


def table(view: HostView, width: int, paint: Paint) -> list[str]:
    """Return the lines of a host's table."""
    columns = _columns(view)
    cells = [[column.text(device) for column in columns] for device in view.devices]
    widths = _fitted(columns, cells, width)
    lines = [_line([column.title for column in columns], widths, paint, ["bold"] * len(columns))]
    for device, texts in zip(view.devices, cells):
        colours = [column.colour(device) for column in columns]
        lines.append(_line(texts, widths, paint, colours))
    return lines


def _columns(view: HostView) -> list[Column]:
    """Return the columns that say something; where nothing differs there is none for drift."""
    asked = view.helper.holds_known
    columns = [
        Column("ADDRESS", lambda device: str(device.address)),
        Column("MODEL", _model, least=8),
        Column("RULE", lambda device: device.rule.name if device.rule else "-", least=6),
        Column("MODE", lambda device: wording.mode(device.rule)),
        Column("HELD", lambda device: wording.standing(device.hold, asked=asked)),
        Column("REACHED", wording.reached, _reached_colour),
        Column("WAKES", lambda device: wording.wakes(device.hold)),
        Column("DRIFT", wording.codes, _drift_colour),
    ]
    empty = ("", "-")
    return [
        column
        for column in columns
        if column.title not in _LEFT_OUT_WHEN_EMPTY
        or any(column.text(device) not in empty for device in view.devices)
    ]


_LEFT_OUT_WHEN_EMPTY = ("MODEL", "WAKES", "DRIFT")


def _model(view: DeviceView) -> str:
    if view.facts is None:
        return "-"
    return short_model(view.facts.model) or _ids(view)


def short_model(model: str) -> str:
    """Return a model without the words that all of a maker's devices have."""
    words = model.replace("(R)", "").replace("(TM)", "").split()
    kept = [word for word in words if word.strip(".,()") not in _NOISE]
    return " ".join(kept)


_NOISE = frozenset(("Corporation", "Corp", "Inc", "Co", "Ltd", "Limited", "Technologies"))


def _ids(view: DeviceView) -> str:
    if view.facts is None:
        return ""
    return f"{view.facts.identity.vendor}:{view.facts.identity.device}"


def _reached_colour(view: DeviceView) -> str:
    return "green" if view.power is not None and view.power.asleep else ""


def _drift_colour(view: DeviceView) -> str:
    severities = [drift.severity for drift in view.drift]
    return next((SEVERITY[name] for name in SEVERITY if name in severities), "")


def _fitted(columns: Sequence[Column], cells: list[list[str]], width: int) -> list[int]:
    """Return each column's width; those that may be cut give way in turn, the widest text first."""
    widths = [
        max([len(column.title), *(len(row[index]) for row in cells)])
        for index, column in enumerate(columns)
    ]
    surplus = sum(widths) + len(GAP) * (len(widths) - 1) - width
    for index, column in enumerate(columns):
        if surplus > 0 and column.least:
            given = max(0, min(surplus, widths[index] - column.least))
            widths[index] -= given
            surplus -= given
    return widths


def _line(texts: Sequence[str], widths: Sequence[int], paint: Paint, colours: Sequence[str]) -> str:
    cells = []
    for index, (text, width) in enumerate(zip(texts, widths)):
        shown = cut(text, width)
        filled = "" if index == len(texts) - 1 else " " * (width - len(shown))
        cells.append(paint(colours[index], shown) + filled)
    return GAP.join(cells).rstrip()


def cut(text: str, width: int) -> str:
    """Return a text in that width, with a mark where something is missing."""
    return text if len(text) <= width else text[: width - 1].rstrip() + ELLIPSIS
