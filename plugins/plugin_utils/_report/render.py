# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as files: JSON, one page of HTML, JUnit."""

from __future__ import annotations

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from . import page, tables
from .codes import DRIFT, EXCUSED, UNKNOWN
from .rows import STATES
from .values import Document

ROLE = Path(__file__).parents[3] / "roles" / "report"
CHUNK = 4096  # pieces of a template that are written at once


def write_json(report: Document, path: Path) -> None:
    """Write the report as it is."""
    with path.open("w", encoding="utf-8") as file:
        json.dump(report, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")


def write_html(report: Document, path: Path) -> None:
    """Write one page, which needs nothing but itself."""
    summary = report["summary"]
    found = page.groups(report)
    style, script = (_part(name) for name in ("report.css", "report.js"))
    _write(
        "report.html.j2",
        path,
        report=report,
        verdict=page.verdict(summary["hosts"]),
        host_bar=page.segments_of(summary["hosts"], ("as_declared", "drift", "unknown")),
        device_bar=page.segments_of(
            summary["devices"], [state.replace("-", "_") for state in STATES]
        ),
        wrong=[group for group in found if page.grave(group)],
        aside=[group for group in found if not page.grave(group)],
        data=Markup(tables.packed(report)),
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
        counted=page.counted,
    )


def write_junit(report: Document, path: Path) -> None:
    """Write a test suite for each host, with a test case for itself and for each device."""
    suites = [_suite(host) for host in report["hosts"]]
    kinds = ("failure", "error")
    numbers = {kind: sum(suite[kind] for suite in suites) for kind in kinds}
    tests = sum(len(suite["cases"]) for suite in suites)
    _write("junit.xml.j2", path, suites=suites, tests=tests, numbers=numbers)


def _suite(host: Document) -> Document:
    cases = list(_cases(host))
    numbers = Counter(case["kind"] for case in cases)
    kinds = {kind: numbers[kind] for kind in _KINDS.values()}
    return {"name": host["name"], "looked_at": host["looked_at"], "cases": cases, **kinds}


_KINDS: Mapping[str, str] = {DRIFT: "failure", UNKNOWN: "error", EXCUSED: "skipped"}


def _cases(host: Document) -> Iterator[Document]:
    yield _case("host", host["drift"])
    for device in host["devices"]:
        name = " ".join(filter(None, (device["address"], device["model"])))
        yield _case(name, device["drift"])


def _case(name: str, drift: list[Document]) -> Document:
    for severity, kind in _KINDS.items():
        told = [each for each in drift if each["severity"] == severity]
        if told:
            lines = (f"{each['message']}. {each['hint']}".rstrip(". ") + "." for each in told)
            return {"name": name, "kind": kind, **told[0], "text": "\n".join(lines)}
    return {"name": name, "kind": ""}


def _write(template: str, path: Path, **values: object) -> None:
    loader = FileSystemLoader(ROLE / "templates")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    stream = environment.get_template(template).stream(**values)
    stream.enable_buffering(CHUNK)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(stream)


def _part(name: str) -> str:
    return (ROLE / "files" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return what lets a browser run exactly this text and nothing else."""
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


FILES: Mapping[str, tuple[str, Callable[[Document, Path], None]]] = {
    "html": ("report.html", write_html),
    "json": ("report.json", write_json),
    "junit": ("junit.xml", write_junit),
}


def write(report: Document, formats: list[str], folder: Path) -> list[str]:
    """Write the report in these formats, and return the names of the files."""
    for name, writer in (FILES[each] for each in formats):
        writer(report, folder / name)
    return [FILES[each][0] for each in formats]
