# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table that ``list`` prints: as wide as the screen, giving up what is easiest missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Callable, NamedTuple

from ..touch.view import DeviceView, HostView
from . import wording
from .paint import SEVERITY, Paint

GAP = "  "
ELLIPSIS = "…"


class Column(NamedTuple):
    """One column of the table."""

    title: str
    text: Callable[[DeviceView], str]
    colour: Callable[[DeviceView], str] = lambda _view: ""


GIVE_WAY = (
    ("MODEL", 12),
    ("RULE", 12),
    ("MODEL", 8),
    ("MODEL", 0),
    ("RULE", 6),
    ("REACHED", 24),
)
"""What is cut on a narrow screen, in this order, to which width; 0 leaves the column out."""


def table(view: HostView, width: int, paint: Paint) -> list[str]:
    """Return the lines of a host's table."""
    columns = _columns(view)
    cells = {column.title: [column.text(device) for device in view.devices] for column in columns}
    widths = _fitted(cells, width)
    columns = [column for column in columns if column.title in widths]
    lines = [_line([(column.title, "bold") for column in columns], widths, paint)]
    for index, device in enumerate(view.devices):
        row = [(cells[column.title][index], column.colour(device)) for column in columns]
        lines.append(_line(row, widths, paint))
    return lines


def _columns(view: HostView) -> list[Column]:
    """Return the columns that say something; where nothing differs there is none for drift."""
    asked = view.helper.holds_known
    columns = [
        Column("ADDRESS", lambda device: str(device.address)),
        Column("MODEL", _model),
        Column("RULE", lambda device: device.rule.name if device.rule else "-"),
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


def _fitted(cells: Mapping[str, Sequence[str]], width: int) -> dict[str, int]:
    """Return the width of each column that stays."""
    widths = {title: max(map(len, (title, *texts))) for title, texts in cells.items()}
    for title, least in GIVE_WAY:
        surplus = sum(widths.values()) + len(GAP) * (len(widths) - 1) - width
        if surplus <= 0:
            break
        if title not in widths:
            continue
        if least:
            widths[title] = max(min(least, widths[title]), widths[title] - surplus)
        else:
            del widths[title]
    return widths


def _line(row: Sequence[tuple[str, str]], widths: Mapping[str, int], paint: Paint) -> str:
    """Return one line; the colour goes around the text, and the filling stays outside."""
    cells = []
    for (text, colour), width in zip(row, widths.values()):
        shown = cut(text, width)
        cells.append(paint(colour, shown) + " " * (width - len(shown)))
    return GAP.join(cells).rstrip()


def cut(text: str, width: int) -> str:
    """Return a text in that width, with a mark where something is missing."""
    return text if len(text) <= width else text[: width - 1].rstrip() + ELLIPSIS
