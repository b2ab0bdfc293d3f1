# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments, versions and exit statuses."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.manager import Standing
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.version import (
    API_REVISION,
    VERSION,
)

from ..touch.scene import Scene
from .running import ctl

WRONG = {
    "no command": [],
    "an unknown command": ["sleep"],
    "no address": ["show"],
    "two addresses to show": ["show", "65:00.0", "65:00.1"],
    "something that is no address": ["show", "card1"],
    "no holder": ["release", "65:00.0"],
    "a holder with a blank": ["release", "65:00.0", "--holder", "my guest"],
    "an empty holder": ["release", "65:00.0", "--holder", ""],
    "a very long holder": ["release", "65:00.0", "--holder", "x" * 129],
    "a holder that is not ASCII": ["release", "65:00.0", "--holder", "gäst"],
    "a time that is none": ["release", "65:00.0", "--holder", "a", "--ttl", "soon"],
    "a time that is not a number": ["release", "65:00.0", "--holder", "a", "--ttl", "nan"],
    "a negative time": ["release", "65:00.0", "--holder", "a", "--ttl", "-1"],
    "an option of another command": ["watch", "--check"],
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG)
def test_a_wrong_command_line_exits_with_two(
    scene: Scene, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ctl(scene, *words).status == 2
    assert "usage: vfio-powerctl" in capsys.readouterr().err


def test_a_wrong_address_is_told_with_the_right_form(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    ctl(scene, "show", "card1")
    told = "'card1' is not a PCI address like '0000:65:00.0' or '65:00.0'"
    assert told in capsys.readouterr().err


def test_help_names_the_commands_and_exits_with_zero(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ctl(scene, "--help").status == 0
    helped = capsys.readouterr().out
    for word in ("list", "show", "watch", "release", "reclaim", "version", "Exit status"):
        assert word in helped


@pytest.mark.parametrize(
    "words",
    [["watch"], ["release", "65:00.0", "--holder", "a"], ["reclaim", "65:00.0"], ["version"]],
    ids=lambda words: words[0],
)
def test_without_the_helper_what_needs_it_exits_with_three(scene: Scene, words: list[str]) -> None:
    ran = ctl(scene, *words)
    assert ran.status == 3
    assert ran.err.startswith("vfio-powerctl: The helper is not there: no socket")
    assert ran.err.endswith("with the role vfio.power.helper.\n")


@pytest.mark.parametrize("word", ["watch", "version"])
def test_a_helper_that_is_stopped_is_not_started_by_those_who_look(scene: Scene, word: str) -> None:
    scene.standing, scene.refusal = Standing("inactive"), ("Timeout", {})
    with scene.serve():  # its socket listens all the same
        ran = ctl(scene, word)
    assert ran.status == 3
    told = "The helper is stopped. Start it with: systemctl start vfio-powerd.service.\n"
    assert ran.err == f"vfio-powerctl: {told}"
    assert scene.asked_at_all == 0


def test_version_names_both(scene: Scene) -> None:
    with scene.serve():
        ran = ctl(scene, "version")
    assert ran == (
        0,
        f"vfio-powerctl {VERSION} (API revision {API_REVISION})\n"
        f"helper        {VERSION} (API revision {API_REVISION})\n",
        "",
    )


def test_version_names_its_own_when_the_helper_is_silent(scene: Scene) -> None:
    assert ctl(scene, "version").out.startswith(f"vfio-powerctl {VERSION}")
    ours = {"version": VERSION, "api_revision": API_REVISION, "helper": None}
    assert ctl(scene, "version", "--json").json == ours


def test_a_helper_of_another_revision_is_told(scene: Scene) -> None:
    scene.status["api_revision"] = 99
    with scene.serve():
        ran = ctl(scene, "version")
    assert ran.status == 1
    assert "the helper speaks API revision 99" in ran.err
