#!/usr/bin/python
# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The code is in plugins/action/host_compare.py, which runs low_power on the host in check mode.

DOCUMENTATION = r"""
module: host_compare
short_description: Compare what is declared for a host with what is there
version_added: 0.1.0
description:
  - Runs M(vfio.power.low_power) on the host in check mode and keeps on the controller only what
    M(vfio.power.host_report) has not told already, so that a fleet fits. The playbooks
    C(vfio.power.report) and C(vfio.power.drift) call it.
  - Looking never touches. Nothing is stored, opened, reset or woken, in check mode or not.
  - Register the result as C(vfio_power_declared), where M(vfio.power.fleet_report) looks for it. What
    was seen is taken from C(vfio_power_seen).
requirements:
  - Python 3.9 or newer on the host
  - root on the host
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
      - Changes nothing. C(vfio.power.converge) with C(--check --diff) shows the differences.
  idempotent:
    support: full
options:
  devices:
    description:
      - As O(vfio.power.low_power#module:devices).
    type: list
    elements: raw
    required: true
  exclude:
    description:
      - As O(vfio.power.low_power#module:exclude).
    type: list
    elements: raw
    default: []
  purge:
    description:
      - As O(vfio.power.low_power#module:purge).
    type: bool
    default: false
  timeout:
    description:
      - As O(vfio.power.low_power#module:timeout).
    type: int
    default: 120
seealso:
  - module: vfio.power.low_power
  - module: vfio.power.host_report
  - module: vfio.power.fleet_report
"""

EXAMPLES = r"""
- name: Compare with the variables
  vfio.power.host_compare:
    devices: "{{ vfio_power_devices }}"
    purge: true
  become: true
  register: vfio_power_declared
"""

RETURN = r"""
changed:
  description: Whether converging would change anything.
  returned: success
  type: bool
  sample: true
applied:
  description: Always V(false).
  returned: success
  type: bool
  sample: false
devices:
  description: The devices that converging would change.
  returned: success
  type: list
  elements: dict
  sample:
    - address: "0000:41:00.0"
      changed: true
drift:
  description: What is not as declared and was not told by what was seen.
  returned: success
  type: list
  elements: dict
  sample: []
"""
