# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of host_compare: a converge in check mode, of which little is kept."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.vfio.power.plugins.plugin_utils._report.comparison import comparison

# What Ansible shows and does not store as an answer.
TOLD_BESIDE = ("warnings", "deprecations")


class ActionModule(ActionBase):
    """Runs low_power on the host, and nothing of it but the prediction."""

    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        """Return what differs and was not seen already, or why that cannot be told."""
        super().run(tmp, task_vars)
        self._task = self._task.copy()
        self._task.check_mode = True
        self._task.diff = False
        answer = self._execute_module(
            module_name="vfio.power.low_power",
            module_args={**self._task.args, "fail_on_drift": False},
            task_vars=task_vars,
        )
        beside = {name: answer[name] for name in TOLD_BESIDE if name in answer}
        return {**beside, **comparison(answer, (task_vars or {}).get("vfio_power_seen"))}
