# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all modules have in common: they answer in sentences, whatever they meet."""

from __future__ import annotations

import ast
import errno
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.vfio.power.plugins.module_utils import _module
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.ask.answer import Answer
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    HelperUnreachable,
    InputError,
    Problem,
)

COLLECTION = Path(_module.__file__).parents[2]
MODULES = sorted((COLLECTION / "plugins" / "modules").glob("*.py"))
BEFORE_THE_PROGRAM = [*MODULES, Path(_module.__file__)]


class Left(Exception):
    """The module has answered."""


class FakeModule:
    """Notes what a module answers."""

    _diff = False

    def __init__(self):
        self.answer = {}
        self.warnings = []

    def exit_json(self, **answer):
        """Succeed."""
        self.answer = answer
        raise Left

    def fail_json(self, **answer):
        """Fail."""
        self.answer = {"failed": True, **answer}
        raise Left

    def warn(self, text):
        """Warn."""
        self.warnings.append(text)


def answer_of(call):
    """Return what a module answers when it comes to this call."""
    module = FakeModule()
    with pytest.raises(Left):
        call(module)
    return module.answer


def raising(error):
    """Return a question that ends with an error."""

    def ask():
        raise error

    return ask


@pytest.mark.parametrize("path", BEFORE_THE_PROGRAM, ids=lambda path: path.name)
def test_an_interpreter_that_is_too_old_can_read_the_sentence_about_it(path):
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 6))
    futures = [node for node in ast.walk(tree) if getattr(node, "module", "") == "__future__"]
    assert not futures
    early = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert not [node.module for node in early if "vfio_power" in node.module]


def test_an_interpreter_that_is_too_old_is_named_with_what_to_set(monkeypatch):
    monkeypatch.setattr(_module, "FLOOR", (99, 0))
    answer = answer_of(_module.require_python)
    assert sys.executable in answer["msg"]
    assert "needs Python 99.0 or newer" in answer["msg"]
    assert "ansible_python_interpreter" in answer["msg"]


def test_somebody_else_than_root_is_told_to_become_root(monkeypatch):
    monkeypatch.setattr(_module.os, "geteuid", lambda: 1000)
    message = answer_of(_module.require_root)["msg"]
    assert "user 1000" in message
    assert "become: true" in message


def test_all_problems_of_an_input_are_in_the_answer():
    problems = [Problem("devices[0].mode", "is missing"), Problem("devices[1]", "is empty")]
    answer = answer_of(lambda it: _module.answer_or_fail(it, raising(InputError(problems))))
    assert [problem["place"] for problem in answer["problems"]] == ["devices[0].mode", "devices[1]"]
    assert answer["msg"].startswith("Refused, and nothing was changed: devices[0].mode: is missing")


def test_an_error_of_the_program_is_a_message_with_its_next_step():
    error = HelperUnreachable("The helper went away", "Look at its journal")
    answer = answer_of(lambda it: _module.answer_or_fail(it, raising(error)))
    assert answer["msg"] == "The helper went away. Look at its journal"


def test_where_no_python_has_pyudev_the_package_is_named(monkeypatch):
    monkeypatch.setattr(_module, "probe_interpreters_for_module", lambda *_: None)
    monkeypatch.setattr(_module, "has_respawned", lambda: False)
    missing = ImportError("No module named 'pyudev'")
    answer = answer_of(lambda it: _module.answer_or_fail(it, raising(missing)))
    assert "python3-pyudev" in answer["msg"]


def test_where_another_python_has_pyudev_the_module_runs_there(monkeypatch):
    started = []
    monkeypatch.setattr(_module, "probe_interpreters_for_module", lambda *_: "/usr/bin/other")
    monkeypatch.setattr(_module, "has_respawned", lambda: False)
    monkeypatch.setattr(_module, "respawn_module", started.append)
    answer_of(lambda it: _module.answer_or_fail(it, raising(ImportError("pyudev"))))
    assert started == ["/usr/bin/other"]


def test_a_failing_task_returns_everything_that_it_found_all_the_same():
    found = Answer({"devices": [], "diff": []}, failure="1 device failed")
    answer = answer_of(lambda it: _module.answer_or_fail(it, lambda: found))
    assert answer == {"failed": True, "msg": "1 device failed", "devices": []}


def test_an_error_of_the_host_is_a_sentence_with_its_path_and_the_next_step():
    full = OSError(errno.ENOSPC, "No space left on device", "/var/lib/vfio-power/declared.json.new")
    answer = answer_of(lambda it: _module.answer_or_fail(it, raising(full)))
    assert answer["msg"].startswith(
        "/var/lib/vfio-power/declared.json.new: No space left on device"
    )
    assert "Make room" in answer["msg"]
    assert "run the task again" in answer["msg"]


def options_of(path):
    """Return the names of a module's options, from its documentation."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (text,) = (
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "DOCUMENTATION"
    )
    return set(yaml.safe_load(text)["options"])


def test_the_modules_that_share_the_option_timeout_are_the_action_group():
    runtime = yaml.safe_load((COLLECTION / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    sharing = [path.stem for path in MODULES if "timeout" in options_of(path)]
    assert runtime["action_groups"]["all"] == sharing
