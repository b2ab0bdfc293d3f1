#!/usr/bin/python
# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The code is in plugins/action/fleet_report.py, as all of it runs on the controller.

DOCUMENTATION = r"""
module: fleet_report
short_description: Write the report of all hosts of a play
version_added: 0.1.0
description:
  - Makes one report of what the hosts left in their variables C(vfio_power_seen), from
    M(vfio.power.host_report), and C(vfio_power_declared), from the role
    P(vfio.power.declare#role) in check mode. The role P(vfio.power.report#role) calls it.
  - A host that could not be reached, that failed or that was not looked at is unknown in it, never
    fine.
  - Run it once, with C(run_once), and delegated to where the report should be.
author:
  - The vfio.power authors (@ansible-collections)
extends_documentation_fragment:
  - vfio.power.attributes
attributes:
  check_mode:
    support: full
    details:
      - Makes the report and does not write it.
  diff_mode:
    support: none
    details:
      - A report is too long for that.
  idempotent:
    support: none
    details:
      - A report says when it was made.
options:
  dest:
    description:
      - The folder in which the report is written. It is made where it is not there.
      - A relative one is below the folder in which Ansible was started, as are O(inputs). Over another
        connection than C(local) name a full path.
    type: path
    required: true
  formats:
    description:
      - V(html) is C(report.html), a page that needs nothing but itself; V(json) is C(report.json),
        described by C(docs/report.schema.json); V(junit) is C(junit.xml), for pipelines.
    type: list
    elements: str
    choices: [html, json, junit]
    default: [html, json]
  inputs:
    description:
      - Paths on the controller of C(report.json) that earlier runs have written, for other hosts.
        They are merged with what this run has seen.
      - Of a host that comes twice the newest look counts.
    type: list
    elements: path
    default: []
  hosts:
    description:
      - The names of the hosts. By default all of the play, as far as C(--limit) leaves them.
      - An empty list merges O(inputs) and nothing else.
    type: list
    elements: str
seealso:
  - module: vfio.power.host_report
"""

EXAMPLES = r"""
- name: Write the report of all hosts of this play
  vfio.power.fleet_report:
    dest: "{{ playbook_dir }}/reports"
    formats: [html, json, junit]
  delegate_to: localhost
  become: false
  run_once: true

- name: Merge what three jobs of a pipeline have seen
  vfio.power.fleet_report:
    dest: reports
    inputs: [slice1/report.json, slice2/report.json, slice3/report.json]
    hosts: []
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
files:
  description: The paths of what was written.
  returned: success
  type: list
  elements: str
  sample: [/srv/reports/report.html, /srv/reports/report.json]
status:
  description: V(drift) if any host drifts, else V(unknown) if any host is unknown, else V(as-declared).
  returned: success
  type: str
  sample: drift
summary:
  description: How many hosts and devices stand how.
  returned: success
  type: dict
  sample:
    hosts: {total: 3, as_declared: 1, drift: 1, unknown: 1}
    devices:
      total: 32
      declared: 32
      held: 30
      asleep: 29
      awake: 1
      in_use: 2
      unknown: 0
      drift: 1
      excused: 2
msg:
  description: The same in one sentence.
  returned: success
  type: str
  sample: "1 of 3 hosts is not as declared, 1 is unknown: /srv/reports/report.html"
"""
