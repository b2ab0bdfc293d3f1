# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus' text format: what a collector reads from a file. The metrics are in metrics.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

GAUGE, COUNTER = "gauge", "counter"

Samples = Iterator[tuple[Mapping[str, str], float]]
"""Values, each with its labels."""


def family(name: str, kind: str, about: str, samples: Samples) -> str:
    """Return a metric with all its samples, or nothing where it has none."""
    lines = [f"{name}{_braced(labels)} {value}\n" for labels, value in samples]
    if not lines:
        return ""
    return f"# HELP {name} {about}\n# TYPE {name} {kind}\n{''.join(lines)}"


def _braced(labels: Mapping[str, str]) -> str:
    told = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{told}}}" if told else ""


def _escaped(value: str) -> str:
    """Return any text as the value of a label; the name of a rule is any text."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
