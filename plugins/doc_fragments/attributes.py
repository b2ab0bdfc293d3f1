# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every module says about itself: the standard attributes, described once.

A module extends vfio.power.attributes and states its own support. The action group is the same
for all of them that people call, so that support is stated here, in the fragment
vfio.power.attributes.action_group.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description:
      - Can run in check mode and predict what would change without touching the host or a device.
  diff_mode:
    description: Returns the difference between before and after when asked for a diff.
  idempotent:
    description: Run a second time with the same options on an unchanged host, it changes nothing.
  platform:
    description: Platforms the module runs on.
    platforms: linux
    support: full
"""

    ACTION_GROUP = r"""
options: {}
attributes:
  action_group:
    description:
      - Use C(group/vfio.power.all) in C(module_defaults) to set defaults, such as C(timeout), for
        all modules of this collection that deal with devices.
    support: full
    membership:
      - vfio.power.all
"""
