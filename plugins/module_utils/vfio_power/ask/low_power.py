# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The course of one low_power task, from the options to the answer.

Nothing here knows Ansible. What the host lacks is told in ready.py, waiting is in settle.py, what
it comes to in outcome.py, and how that looks in rows.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Optional

from ..think.documents import declaration_document
from ..think.drift import ABSENT, STOPPED
from ..think.fields import Fields
from ..think.host_policy import Outlook
from ..think.merge import merge
from ..think.parse import Request, parse_request
from ..think.plan import Step, plan
from ..think.quirks import conflicts
from ..think.resolve import clashes
from ..think.wire import report_from_json
from ..touch.client import Client
from ..touch.look import SETTLE
from ..touch.view import HostView
from ..words.address import PciAddress
from ..words.declaration import Declaration, Known, Resolution
from ..words.errors import GenerationMismatch, HelperRefused, InputError, Problem
from ..words.report import HoldReport
from .answer import Answer
from .enforce import consider, enforce
from .ground import Ground
from .outcome import answer
from .ready import NotReady, missing
from .rows import differences, rule_rows, unlisted_rows
from .settle import settle, waits_for
from .task import Done, Task, Wish

ANSWER_WITHIN = 10.0  # seconds that the helper gets beyond those for the devices


def ask(wish: Wish, *, check: bool, ground: Optional[Ground] = None) -> Answer:
    """Do what a task asks; in check mode say what would be done."""
    ground = ground or Ground(Client())
    request = parse_request(wish.devices, wish.exclude, settle=wish.settle, timeout=wish.timeout)
    try:
        return _once(wish, request, ground, check=check)
    except GenerationMismatch:
        pass
    except HelperRefused as error:
        if error.name != "GenerationMismatch":
            raise
    return _once(wish, request, ground, check=check)  # somebody else stored something meanwhile


def _once(wish: Wish, request: Request, ground: Ground, *, check: bool) -> Answer:
    loaded = ground.store.load()
    merged = merge(loaded.declaration, request, purge=wish.purge)
    task = Task(wish, request, loaded, merged)
    if not wish.apply:
        return _stored_only(task, ground, check=check)
    ground.need_udev(merged)
    task = task._replace(remembered=ground.policy.load())
    seen = ground.look(
        loaded._replace(declaration=merged),
        settle=SETTLE if check else 0.0,
        besides=[
            *(entry.address for entry in loaded.known),
            *(found.address for found in task.remembered.found),
        ],
        may_start=not check,
    )
    _refuse_clashes(merged, seen, ground)
    lacking = missing(seen, merged)
    if check:
        return _predicted(task, seen, lacking)
    if lacking:
        raise NotReady(lacking)
    return _applied(task, seen, ground)


def _refuse_clashes(merged: Declaration, seen: HostView, ground: Ground) -> None:
    """Refuse what only a look at the host shows to be wrong, all of it at once."""
    problems = _excluded_by_match(merged, ground) if merged.exclude else []
    problems += conflicts(
        merged,
        _known(seen),
        {view.address: view.facts for view in seen.devices if view.facts},
        dict.fromkeys(quirk for view in seen.devices for quirk in view.quirks),
    )
    if problems:
        raise InputError(problems)


def _excluded_by_match(merged: Declaration, ground: Ground) -> list[Problem]:
    named = [it.selector for it in merged.rules if isinstance(it.selector, PciAddress)]
    found = {address: ground.sysfs.facts(address) for address in named}
    devices = {address: facts for address, facts in found.items() if facts is not None}
    with suppress(ImportError):  # no rule asks udev then, or need_udev had told
        devices = ground.describe(devices)
    return clashes(merged, devices)


def _stored_only(task: Task, ground: Ground, *, check: bool) -> Answer:
    if task.differs and not check:
        _store(task, task.loaded.known, ground)
    return Answer(
        {
            "changed": task.differs,
            "applied": False,
            "drifted": False,
            "drift": [],
            "devices": [],
            "rules": rule_rows(task.merged, None),
            "passed_over": [],
            "unlisted": unlisted_rows(task.merged, task.listed, None),
            "diff": differences(task.stored, task.merged, []),
        },
        warnings=task.warnings,
    )


def _store(task: Task, known: tuple[Known, ...], ground: Ground) -> int:
    """Store what is declared, durably; return its generation."""
    generation = task.stored.generation + 1
    declaration = task.merged._replace(generation=generation)
    ground.store.save(declaration, known, expected=task.stored.generation)
    return generation


def _predicted(task: Task, seen: HostView, lacking: list[str]) -> Answer:
    steps = {step.address: step for step in _plan(task.merged, seen)}
    ahead = consider(task.merged, seen, task.remembered)
    moves = {address: step.actions for address, step in steps.items() if step.actions}
    actions = _together(ahead.options(), moves)
    warnings = [f"As this host is now it would be refused: {lack}" for lack in lacking]
    if seen.helper.state == STOPPED:
        warnings.append("The helper is stopped. Applying starts it, and it takes what is declared.")
    first_opened = [str(it) for it in sorted(actions) if "open" in actions[it]]
    if first_opened and not seen.helper.answered:
        warnings.append(
            "Whether these devices support their mode is not known before the helper opens them,"
            f" which resets each of them once: {', '.join(first_opened)}."
        )
    views = {view.address: view for view in seen.devices}
    policies = {it: ahead.policy(it, views[it].policy) for it in ahead.addresses}
    done = Done(actions, steps=steps, policies=policies, rules=ahead.rules)
    predicted = answer(task, seen, seen, done)
    return predicted._replace(warnings=predicted.warnings + tuple(warnings))


def _plan(merged: Declaration, seen: HostView) -> list[Step]:
    if seen.helper.paused:
        return []
    return plan(
        merged,
        Resolution(known=_known(seen)),
        {view.address: view.facts for view in seen.devices if view.facts},
        {view.address: view.hold for view in seen.devices if view.hold},
        [view.address for view in seen.devices if view.opened_by],
        [view.address for view in seen.devices if view.kept_awake],
    )


def _applied(task: Task, seen: HostView, ground: Ground) -> Answer:
    ahead = consider(task.merged, seen, task.remembered)
    if _nothing_to_do(task, seen, ahead):
        return answer(task, seen, seen, Done())
    generation = task.stored.generation
    absent = seen.helper.state == ABSENT
    if task.differs and (absent or _changes_policy(task, ahead)):
        # The host's policy outlasts this task, so what asks for it has to as well.
        generation = _store(task, _known(seen), ground)
    enforced = enforce(ahead, seen, ground)
    done = Done() if absent else _apply(task, generation, ground)
    done = done._replace(
        actions=_together(enforced.written, done.actions),
        errors=enforced.errors,
        rules=ahead.rules,
    )
    rules = {view.address: view.rule for view in seen.devices if view.rule}
    # Afterwards nobody is still on the way: whoever was, had the time.
    now = ground.clock()
    settle(waits_for(rules, done.entered(now), task.wish.settle, now), ground)
    after = ground.look(settle=0.0, besides=[view.address for view in seen.devices])
    return answer(task, seen, after, done)


Actions = Mapping[PciAddress, tuple[str, ...]]


def _together(written: Actions, done: Actions) -> Actions:
    """Return what is done to each device: its policy is written first."""
    return {it: (*written.get(it, ()), *done.get(it, ())) for it in {**written, **done}}


def _nothing_to_do(task: Task, seen: HostView, ahead: Outlook) -> bool:
    """Tell whether the helper need not be asked: all is stored, done, and reached."""
    if seen.helper.paused:
        return False  # it looks at its off switch when it is asked to apply
    up_to_date = seen.helper.generation in (task.stored.generation, None)
    if _changes_policy(task, ahead) or task.remembered.damaged:
        return False
    if task.differs or not up_to_date or _known(seen) != task.loaded.known or seen.drifted:
        return False
    failed = any(view.hold and view.hold.failure for view in seen.devices)
    return not failed and not any(step.actions for step in _plan(task.merged, seen))


def _changes_policy(task: Task, ahead: Outlook) -> bool:
    before = task.remembered
    return bool(ahead.writes) or (ahead.found, ahead.rules) != (before.found, before.rules)


def _known(seen: HostView) -> tuple[Known, ...]:
    return tuple(view.known for view in seen.devices if view.known)


def _apply(task: Task, generation: int, ground: Ground) -> Done:
    """Have the helper do it."""
    document = declaration_document(task.merged)
    answer = ground.client.call(
        "Apply",
        {
            "rules": document["rules"],
            "exclude": document["exclude"],
            "expected_generation": generation,
            "timeout": float(task.wish.timeout),
        },
        timeout=task.wish.timeout + ANSWER_WITHIN,
    )
    outcomes = Fields(answer, "answer").each("outcomes", _outcome)
    return Done(
        actions={report.address: actions for report, actions in outcomes},
        reports={report.address: report for report, _actions in outcomes},
        pending=tuple(PciAddress.parse(str(text)) for text in answer.get("pending") or ()),
    )


def _outcome(value: object, place: str) -> tuple[HoldReport, tuple[str, ...]]:
    fields = Fields(value, place)
    report = report_from_json(fields.need("device", dict), f"{place}.device")
    return report, tuple(map(str, fields.get("actions", list, [])))
