# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual page and the completion know every command and option that there is, and no other."""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.cli.main import _parser

FILES = Path(__file__.partition("/tests/unit/")[0]) / "roles" / "helper" / "files"
DEVICES = "0000:65:00.0 0000:65:00.1 0000:66:00.0"

SCRIPT = """
source "$1"
DEVICES=$3
_vfio_powerctl_addresses() { printf '%s\\n' $DEVICES; }
COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
_vfio_powerctl
printf '%s\\n' "${COMPREPLY[@]}"
"""


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    found = {option for action in parser._actions for option in action.option_strings}
    return {option for option in found if option.startswith("--")}


def commands() -> dict[str, set[str]]:
    """Return the options of each command."""
    (words,) = (
        action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return {name: options_of(parser) for name, parser in words.choices.items()}


def completed(line: str) -> list[str]:
    """Return what is offered when somebody presses Tab after this."""
    ran = subprocess.run(
        ["bash", "-c", SCRIPT, "bash", str(FILES / "vfio-powerctl.bash"), line, DEVICES],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert ran.stderr == ""
    return ran.stdout.split()


def test_completion_offers_every_command() -> None:
    assert set(completed("vfio-powerctl ")) == {*commands(), "--help"}


@pytest.mark.parametrize("name", commands())
def test_completion_offers_every_option_of_a_command(name: str) -> None:
    assert set(completed(f"vfio-powerctl {name} -")) == commands()[name]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("vfio-powerctl re", ["release", "reclaim", "rearm", "resume"]),
        ("vfio-powerctl clear 0000:66", ["66:00.0"]),
        ("vfio-powerctl release --al", ["--all"]),
        ("vfio-powerctl show ", DEVICES.split()),
        # What stands before the last colon is not offered again: readline keeps it.
        ("vfio-powerctl show 0000:65", ["65:00.0", "65:00.1"]),
        ("vfio-powerctl show 0000:66:00.", ["00.0"]),
        ("vfio-powerctl release 0000:65:00.0 0000:66", ["66:00.0"]),
        ("vfio-powerctl release 0000:65:00.0 --ho", ["--holder"]),
        ("vfio-powerctl release --holder ", []),
        ("vfio-powerctl release --ttl 9", []),
        ("vfio-powerctl nonsense ", []),
    ],
)
def test_completion_offers_what_fits(line: str, offered: list[str]) -> None:
    assert completed(line) == offered


def test_the_manual_has_every_command_and_option() -> None:
    page = (FILES / "vfio-powerctl.8").read_text()
    assert set(re.findall(r"^\.It Cm (\w+)", page, re.MULTILINE)) == set(commands())
    documented = {f"-{option}" for option in re.findall(r"^\.It Fl (-\w+)", page, re.MULTILINE)}
    assert documented == set().union(*commands().values())
