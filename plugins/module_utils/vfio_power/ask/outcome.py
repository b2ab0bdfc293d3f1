# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a low_power task comes to: the devices it was about, their drift, and whether it fails."""

from __future__ import annotations

from typing import Optional

from ..think.drift import ABSENT, HostCase, drifted, judge_host
from ..touch.host_policy import RULES
from ..touch.view import DeviceView, HostView
from ..words.address import PciAddress
from ..words.declaration import Declaration
from ..words.report import Drift, HoldReport
from .answer import Answer, Document, drift_rows, plural
from .rows import (
    Row,
    Stand,
    difference,
    differences,
    error_of,
    passed_over_rows,
    rule_rows,
    sentence,
    unlisted_rows,
)
from .task import Done, Task, Wish

CURED_BY_CONVERGING = frozenset(
    {
        "awake-by-quirk",
        "host-policy",
        "mode-mismatch",
        "not-as-expected",
        "not-suspended",
        "undeclared-hold",
        "unsupported",
        "kernel-refused",
        "waiting",
    }
)
"""Drift that says nothing of a device about which something is planned."""


def answer(task: Task, seen: HostView, after: HostView, done: Done) -> Answer:
    """Put the answer together from a picture before and one after."""
    rows = [
        _row(task, view, seen.device(view.address) or view, done)
        for view in after.devices
        if _concerned(task, view, done)
    ]
    host = _host_drift(task, after)
    drifts = [*host, *(drift for row in rows for drift in row.drift)]
    result = {
        "changed": task.differs or _rules_differ(task, done) or any(row.changed for row in rows),
        "applied": done.steps is None,
        "drifted": drifted(drifts),
        "drift": [*drift_rows(None, host), *(it for row in rows for it in row.drift_rows())],
        "devices": [row.document() for row in rows],
        "rules": rule_rows(task.merged, after),
        "passed_over": passed_over_rows(after),
        "unlisted": unlisted_rows(task.merged, task.listed, after),
        "diff": [*differences(task.stored, task.merged, rows), *_of_rules(task, done)],
    }
    return Answer(result, _failure(task.wish, rows, drifts), task.warnings)


def _concerned(task: Task, view: DeviceView, done: Done) -> bool:
    """Tell whether a device belongs into the answer: listed here, changed, or failed to be."""
    before = task.rule_before(view.address)
    listed = view.rule is not None and view.rule.name in task.listed
    changed = before != view.rule or bool(done.actions.get(view.address))
    return listed or changed or view.address in done.errors


def _row(task: Task, view: DeviceView, seen: DeviceView, done: Done) -> Row:
    before = Stand.of(task.rule_before(view.address), seen)
    after = Stand.of(view.rule, view)
    actions = done.actions.get(view.address, ())
    if done.steps is not None and actions:
        return _planned_row(view, before, actions, done)
    error = done.errors.get(view.address) or error_of(view)
    if view.address in done.pending:
        error = _unfinished(view.address, done.reports.get(view.address), task.wish.timeout)
    return Row(view, before, after, actions, error, view.drift)


def _unfinished(address: PciAddress, report: Optional[HoldReport], timeout: int) -> str:
    """Say what has not come to an end in time: a call that hangs, or one that waits behind it."""
    running = report.running if report else None
    if running is None:
        return f"{address}: was not done within {timeout} s. Run it again."
    if running.seconds is None:
        return (
            f"{address}: its {running.call} still waits for its turn after {timeout} s."
            " Run it again when the calls before it have returned, or with a longer timeout."
        )
    return (
        f"{address}: its {running.call} has not returned from the kernel after {timeout} s."
        " Look at the kernel log; the call goes on, and the next run tells what became of it."
    )


def _planned_row(view: DeviceView, before: Stand, actions: tuple[str, ...], done: Done) -> Row:
    after = Stand.of(view.rule, view)._replace(policy=done.policies.get(view.address, view.policy))
    step = (done.steps or {}).get(view.address)
    if step is not None:
        after = after._replace(held=step.after.held, engaged=step.after.mode)
    drift = tuple(it for it in view.drift if it.code not in CURED_BY_CONVERGING)
    error = error_of(view._replace(drift=drift))
    return Row(view, before, after, actions, error, drift)


def _rules_differ(task: Task, done: Done) -> bool:
    return done.rules is not None and done.rules != task.remembered.rules


def _of_rules(task: Task, done: Done) -> list[Document]:
    """Return the difference in the rules for udev."""
    if not _rules_differ(task, done):
        return []
    return [difference(RULES, task.remembered.rules, done.rules)]


def _host_drift(task: Task, after: HostView) -> list[Drift]:
    """Return what concerns the host, and of the rules those of this task."""
    rules = tuple(rule for rule in task.merged.rules if rule.name in task.listed)
    case = HostCase(declaration=Declaration(rules), matched=after.matched)
    counted = judge_host(case._replace(passed_over=after.passed_over))
    others = [drift for drift in after.drift if drift.code != "count-mismatch"]
    absent = after.helper.state == ABSENT
    return [it for it in others if not (absent and it.code == "helper-down")] + counted


def _failure(wish: Wish, rows: list[Row], drifts: list[Drift]) -> str:
    errors = [row.error for row in rows if row.error]
    drift = [sentence(it) for it in drifts if it.severity == "drift" and wish.fail_on_drift]
    rest = [text for text in dict.fromkeys(drift) if text not in errors]
    told = []
    if errors:
        told.append(f"{len(errors)} of {plural(len(rows), 'device')} failed: {' '.join(errors)}")
    if rest:
        told.append(f"{plural(len(rest), 'difference')} from what is declared: {' '.join(rest)}")
    return " ".join(told)
