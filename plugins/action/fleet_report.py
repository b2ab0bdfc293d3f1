# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of fleet_report, which is all of it but the writing of files."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.version import VERSION
from ansible_collections.vfio.power.plugins.plugin_utils._report import earlier, fleet, page, render

OPTIONS = {
    "dest": {"type": "path", "required": True},
    "formats": {
        "type": "list",
        "elements": "str",
        "choices": sorted(render.FILES),
        "default": ["html", "json"],
    },
    "inputs": {"type": "list", "elements": "path", "default": []},
    "hosts": {"type": "list", "elements": "str"},
}


class ActionModule(ActionBase):
    """Makes the report on the controller and has copy put it where it belongs."""

    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        """Return where the report is and what it comes to."""
        super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec(OPTIONS)
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        try:
            report = fleet.report_of(self._hosts(options, task_vars, now), now, VERSION)
        except earlier.EarlierError as error:
            raise AnsibleActionFail(str(error)) from error
        local = self._connection.transport == "local"
        dest = _started_in(options["dest"]) if local else options["dest"]
        folder = tempfile.mkdtemp(dir=constants.DEFAULT_LOCAL_TMP)
        try:
            files = render.write(report, options["formats"], Path(folder))
            copied = self._copy(folder, dest, task_vars)
        finally:
            shutil.rmtree(folder)
        if copied.get("failed"):
            return copied
        paths = [str(Path(dest) / name) for name in files]
        return {
            "changed": copied.get("changed", False),
            "files": paths,
            "msg": f"{page.verdict(report['summary']['hosts'])}: {', '.join(paths)}",
            "status": report["status"],
            "summary": report["summary"],
        }

    def _hosts(self, options, task_vars, now) -> Iterator[dict]:
        for path in options["inputs"]:
            yield from earlier.hosts_in(_started_in(path))
        names = options["hosts"]
        for name in task_vars["ansible_play_hosts_all"] if names is None else names:
            yield fleet.host_of(name, task_vars["hostvars"].raw_get(name), now)

    def _copy(self, folder: str, dest: str, task_vars) -> dict:
        task = self._task.copy()
        task.args = {
            "src": f"{folder}/",
            "dest": f"{dest}/",
            "mode": "0644",
            "directory_mode": "0755",
        }
        copy = self._shared_loader_obj.action_loader.get(
            "ansible.builtin.copy",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        return copy.run(task_vars=task_vars)


def _started_in(path: str) -> str:
    """Return a path as whoever started Ansible means it, who by now is in a playbook's folder."""
    return os.path.join(os.environ.get("PWD") or os.getcwd(), path)
