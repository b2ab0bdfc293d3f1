# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of host_report: one look, of which little is kept."""

from __future__ import annotations

from datetime import datetime, timezone

from ansible.plugins.action import ActionBase
from ansible_collections.vfio.power.plugins.plugin_utils._report.excerpt import excerpt

# What Ansible shows and does not store as an answer.
TOLD_BESIDE = ("warnings", "deprecations")


class ActionModule(ActionBase):
    """Runs low_power_info on the host."""

    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        """Return the row of a host, or what Ansible says of one that gives no answer."""
        super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec({"timeout": {"type": "int", "default": 10}})
        looked_at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        answer = self._execute_module(
            module_name="vfio.power.low_power_info",
            module_args={"timeout": options["timeout"]},
            task_vars=task_vars,
        )
        if answer.get("failed") or answer.get("unreachable"):
            return answer
        return {
            **{name: answer[name] for name in TOLD_BESIDE if name in answer},
            **excerpt(answer, looked_at),
            "drifted": answer.get("drifted"),
            "limited": answer.get("limited"),
            "changed": False,
        }
