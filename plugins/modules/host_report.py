#!/usr/bin/python
# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The code is in plugins/action/host_report.py, which runs low_power_info on the host.

DOCUMENTATION = r"""
module: host_report
short_description: Look at a host and keep what a report needs of it
version_added: 0.1.0
description:
  - Runs M(vfio.power.low_power_info) on the host and keeps on the controller at most a kibibyte of
    each device, so that a fleet fits. The role P(vfio.power.report#role) calls it.
  - Looking never touches. Nothing is opened, reset or woken.
  - Register the result as C(vfio_power_seen), where M(vfio.power.fleet_report) looks for it.
requirements:
  - Python 3.9 or newer on the host
author:
  - The vfio.power authors (@ansible-collections)
extends_documentation_fragment:
  - vfio.power.attributes
  - vfio.power.attributes.action_group
attributes:
  check_mode:
    support: full
    details:
      - Changes nothing in any mode.
  diff_mode:
    support: N/A
    details:
      - Changes nothing.
  idempotent:
    support: full
options:
  timeout:
    description:
      - As O(vfio.power.low_power_info#module:timeout).
    type: int
    default: 10
seealso:
  - module: vfio.power.low_power_info
  - module: vfio.power.fleet_report
"""

EXAMPLES = r"""
- name: Look at the host
  vfio.power.host_report:
  become: true
  register: vfio_power_seen
"""

RETURN = r"""
looked_at:
  description: When that was, by the clock of the controller.
  returned: success
  type: str
  sample: "2026-11-23T07:05:00Z"
kernel:
  description: The release of the running kernel.
  returned: success
  type: str
  sample: 6.12.48+deb13-amd64
disable_idle_d3:
  description: Whether C(vfio-pci) keeps unopened devices awake.
  returned: success
  type: bool
  sample: true
helper:
  description: The helper.
  returned: success
  type: dict
  sample:
    installed: true
    running: true
    version: 0.1.0
    paused: null
devices:
  description: The devices, as in C(report.json); see C(docs/report.schema.json).
  returned: success
  type: list
  elements: dict
drift:
  description: The drift of the host itself and of its rules. Devices have theirs.
  returned: success
  type: list
  elements: dict
  sample: []
drifted:
  description: As RV(vfio.power.low_power_info#module:drifted).
  returned: success
  type: bool
  sample: false
limited:
  description: As RV(vfio.power.low_power_info#module:limited).
  returned: success
  type: bool
  sample: false
"""
