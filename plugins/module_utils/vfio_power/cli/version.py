# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``version``: which program this is, which helper answers, and whether they fit."""

from __future__ import annotations

from argparse import Namespace

from ..think.fields import Fields
from ..words.errors import HelperUnreachable
from ..words.version import API_REVISION, VERSION
from .stage import DONE, REFUSED, UNREACHABLE, Stage


def run(stage: Stage, _options: Namespace) -> int:
    """Print both versions; the command's own is printed even when the helper is silent."""
    try:
        status = Fields(stage.around.running().call("GetStatus"), "status")
    except HelperUnreachable as error:
        _print(stage, "", None)
        stage.remark_error(error)
        return UNREACHABLE
    version, revision = status.get("version", str, ""), status.get("api_revision", int, 0)
    _print(stage, version, revision)
    if revision == API_REVISION:
        return DONE
    stage.remark(
        f"the helper speaks API revision {revision}, and {API_REVISION} is needed."
        " Update it with the role vfio.power.helper."
    )
    return REFUSED


def _print(stage: Stage, version: str, revision: int | None) -> None:
    if stage.as_json:
        helper = None if revision is None else {"version": version, "api_revision": revision}
        stage.say_json({"version": VERSION, "api_revision": API_REVISION, "helper": helper})
        return
    stage.say(f"vfio-powerctl {VERSION} (API revision {API_REVISION})")
    if revision is not None:
        stage.say(f"helper        {version} (API revision {revision})")
