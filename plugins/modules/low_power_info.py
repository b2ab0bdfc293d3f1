#!/usr/bin/python
# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# No future import: see plugins/module_utils/_module.py.

DOCUMENTATION = r"""
module: low_power_info
short_description: Look at the power state of PCI devices that are passed through
version_added: 0.1.0
description:
  - Says for each device what is declared, whether the helper holds it, which mode is engaged in
    the kernel, in which state it was seen, how often it was woken, who has it open, what of that
    is not as declared, and why it is awake or not deeper asleep.
  - Looking never touches. Nothing is opened, reset or woken; only files are read that the kernel
    answers from memory.
  - Does not start a helper that is stopped, and works where none is installed. Works without root
    as well, and sees less then.
requirements:
  - Python 3.9 or newer on the host
  - pyudev on the host, only where O(devices[].match) uses V(property)
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
  devices:
    description:
      - Which devices to show. By default all that are bound to a VFIO driver, declared, or known to
        the helper.
    type: list
    elements: raw
    default: []
    suboptions:
      address:
        description: As O(vfio.power.low_power#module:devices[].address).
        type: str
      match:
        description:
          - As O(vfio.power.low_power#module:devices[].match).
          - Only a match that names a V(driver) shows devices that are neither bound to a VFIO driver,
            declared, nor known to the helper.
        type: dict
  drift_only:
    description:
      - Whether to show only devices that are not as declared.
    type: bool
    default: false
  timeout:
    description:
      - How many seconds the helper gets to answer, from 1 to 86400.
    type: int
    default: 10
seealso:
  - module: vfio.power.low_power
"""

EXAMPLES = r"""
- name: Look at all devices
  vfio.power.low_power_info:
  become: true
  register: seen

- name: Say which devices sleep
  ansible.builtin.debug:
    msg: "{{ asleep | map(attribute='address') }}"
  vars:
    suspended: "{{ seen.devices | selectattr('runtime_status', 'equalto', 'suspended') }}"
    asleep: "{{ suspended | selectattr('power_state', 'in', ['D3hot', 'D3cold']) }}"

- name: Say what keeps devices awake, or from D3cold
  ansible.builtin.debug:
    msg: "{{ reasons | map(attribute='message') }}"
  vars:
    known: "{{ seen.devices | map(attribute='why') | select }}"
    reasons: "{{ (known | map(attribute='awake') + known | map(attribute='not_deeper')) | flatten }}"

- name: Look at the display controllers that are not as declared
  vfio.power.low_power_info:
    devices:
      - match:
          class: ["03"]
    drift_only: true
  become: true
"""

RETURN = r"""
host:
  description: What the host offers.
  returned: success
  type: dict
  contains:
    kernel:
      description: The release of the running kernel.
      returned: always
      type: str
      sample: 6.12.48+deb13-amd64
    vfio:
      description: Whether VFIO's nodes are there.
      returned: always
      type: bool
      sample: true
    iommu:
      description: Whether there is at least one IOMMU group.
      returned: always
      type: bool
      sample: true
    iommufd:
      description: Whether the kernel offers the nodes of single devices, with C(/dev/iommu).
      returned: always
      type: bool
      sample: false
    disable_idle_d3:
      description:
        - Whether C(vfio-pci) keeps unopened devices awake.
        - Null where it is not loaded.
      returned: always
      type: bool
      sample: true
    rivals:
      description:
        - The lines by which others decide about the sleep of the shown devices, and where
          C(disable_idle_d3) is set.
      returned: always
      type: list
      elements: dict
      contains: &rival
        tool:
          description: V(udev), V(TLP), V(powertop), V(TuneD), V(modprobe.d), or V(kernel) for the
            kernel command line.
          returned: always
          type: str
          sample: udev
        file:
          description: The file.
          returned: always
          type: str
          sample: /etc/udev/rules.d/80-gpu.rules
        line:
          description: The line in it.
          returned: always
          type: int
          sample: 3
        attribute:
          description: What is written, V(power/control), V(d3cold_allowed) or V(disable_idle_d3).
          returned: always
          type: str
          sample: power/control
        value:
          description: The value, empty where the line does not say it.
          returned: always
          type: str
          sample: "on"
        enabled:
          description: Whether the tool's service is enabled. V(true) where it has none.
          returned: always
          type: bool
          sample: true
helper:
  description: The helper.
  returned: success
  type: dict
  contains:
    installed:
      description: Whether it is installed.
      returned: always
      type: bool
      sample: true
    running:
      description: Whether it answers. Null for those who may not ask it.
      returned: always
      type: bool
      sample: true
    version:
      description: The version of its program. Null where it does not answer.
      returned: always
      type: str
      sample: 0.1.0
    api_revision:
      description: The revision of its interface, which alone decides whether it is understood.
        Null where it does not answer.
      returned: always
      type: int
      sample: 1
    paused:
      description: Why it holds nothing and takes nothing, whatever is declared, or null.
      returned: always
      type: str
      sample: there is a file /etc/vfio-power/off
    fdstore_ok:
      description:
        - Whether the service manager keeps a copy of every descriptor that the helper holds, so that
          no device is moved when the helper dies. V(false) comes with the information V(not-kept).
        - Null where it does not answer, where the service manager does not say, and while devices
          are taken or let go.
      returned: always
      type: bool
      sample: true
devices:
  description:
    - The devices, in bus order.
    - Of a device that is not on the bus everything is null that only the bus tells.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The device.
      returned: always
      type: str
      sample: "0000:65:00.0"
    model:
      description: Its name from the udev database, or null.
      returned: always
      type: str
      sample: Intel Corporation 82574L Gigabit Network Connection
    vendor:
      description: Vendor ID, also of a declared device that is gone. Null where it never was there.
      returned: always
      type: str
      sample: "8086"
    device:
      description: Device ID, likewise.
      returned: always
      type: str
      sample: 10d3
    class:
      description: Class code, likewise.
      returned: always
      type: str
      sample: "020000"
    driver:
      description: The driver it is bound to, or null.
      returned: always
      type: str
      sample: vfio-pci
    iommu_group:
      description: The number of its IOMMU group, or null.
      returned: always
      type: int
      sample: 14
    unit:
      description: The devices that are let go and taken together with it.
      returned: always
      type: list
      elements: str
      sample: ["0000:65:00.0"]
    power_set:
      description: The devices below the same port, which wake together with it.
      returned: always
      type: list
      elements: str
      sample: ["0000:65:00.0"]
    declared:
      description: What is declared of it, or null.
      returned: always
      type: dict
      sample:
        rule: gpus
        mode: entry-with-wakeup
        reserve: false
        expect: asleep
        runtime_pm: null
        d3cold: forbid
    state:
      description:
        - "Where the helper is with it: V(released), V(taking), V(awake), V(entering), V(entry),
          V(entry-with-wakeup), V(waiting), V(exiting), V(letting-go), V(refused), V(stalled),
          V(unsure) or V(spent). Null where it has nothing to do with it."
      returned: always
      type: str
      sample: entry-with-wakeup
    held:
      description: Whether the helper has it open. Null where that is not known.
      returned: always
      type: bool
      sample: true
    engaged:
      description: The mode in force in the kernel. Null where that is not known.
      returned: always
      type: str
      sample: entry-with-wakeup
    power_state:
      description: Its power state as it was seen. Null where it is not on the bus.
      returned: always
      type: str
      sample: D3cold
    runtime_status:
      description: The state of runtime power management as it was seen. Null where it is not on
        the bus.
      returned: always
      type: str
      sample: suspended
    suspended_seconds:
      description: How long it was suspended since it is on the bus. Null where it is not.
      returned: always
      type: float
      sample: 8123.4
    active_seconds:
      description: How long it was active since it is on the bus. Null where it is not.
      returned: always
      type: float
      sample: 12.5
    active_share:
      description:
        - The part of its time on the bus that it was active, from 0 to 1. Null where the kernel
          has counted no time.
        - With V(entry) this is what can be known of its wakes. Nothing is done because of it.
      returned: always
      type: float
      sample: 0.0015
    wakes:
      description:
        - How often it left low power while it was held, how often of these somebody else than the
          helper woke it, and when that was last.
        - Null unless V(entry-with-wakeup) is declared, as nobody else is told.
      returned: always
      type: dict
      sample:
        total: 3
        foreign: 1
        last: "2026-11-23T07:05:00Z"
    history:
      description:
        - What became of the card since it is declared, over restarts of the helper and of the host.
          Null where it is not declared, or the helper could not be asked.
        - Another card at the address begins its own. Cards are told apart by vendor, device,
          subsystem and class.
      returned: always
      type: dict
      contains:
        since:
          description: When it began.
          returned: always
          type: str
          sample: "2026-03-02T10:15:00Z"
        own:
          description:
            - How often the helper's own work woke it. Counted with V(entry-with-wakeup), as nobody
              is told otherwise.
          returned: always
          type: int
          sample: 12
        foreign:
          description: How often somebody else woke it.
          returned: always
          type: int
          sample: 5
        incidents:
          description: The same, with devices below one port that wake at once as one.
          returned: always
          type: int
          sample: 17
        last:
          description:
            - The last ten incidents, the newest first, each with its time, whose doing it was
              (V(own) or V(foreign)), and how many devices woke.
          returned: always
          type: list
          elements: dict
          sample:
            - at: "2026-11-23T07:05:00Z"
              kind: foreign
              devices: 2
        suspended_seconds:
          description:
            - How long it was suspended in all. The boot in which the history began counts from its
              own beginning.
          returned: always
          type: float
          sample: 22894113.25
        active_seconds:
          description: How long it was active in all.
          returned: always
          type: float
          sample: 3112.5
    waiting_until:
      description: When a woken device enters low power again, or null.
      returned: always
      type: str
      sample: "2026-11-23T07:05:05Z"
    reentries:
      description:
        - How O(vfio.power.low_power#module:devices[].reentry) bounds it.
        - Null unless V(entry-with-wakeup) is declared and the helper knows the device.
      returned: always
      type: dict
      contains:
        breaker:
          description:
            - V(closed) as usual. V(open) while it is left awake after a storm of wakes, which is
              drift V(wake-storm). V(half-open) while it is tried after that; two sleeps of more
              than a minute close the breaker, one of less than 5 seconds opens it again.
          returned: always
          type: str
          sample: closed
        put_off_by:
          description:
            - What makes it wait longer than its delay, V(bucket) (the bound per hour) or
              V(breaker). Null where nothing does.
          returned: always
          type: str
          sample: null
        suppressed:
          description: How many entries were put off so far.
          returned: always
          type: int
          sample: 0
        storm_wakes:
          description: How many wakes there were since the storm began. 0 while the breaker is closed.
          returned: always
          type: int
          sample: 0
        storm_seconds:
          description: From the beginning of the storm to its last wake.
          returned: always
          type: float
          sample: 0.0
    opened_by:
      description:
        - The processes that have it open, other than the helper. Seen by root only.
        - The guest is its name as libvirt, Proxmox VE or QEMU have it, or null. Nothing else is told of
          a process.
      returned: always
      type: list
      elements: dict
      sample:
        - pid: 812
          command: qemu-system-x86
          guest: web
    lease:
      description: To whom it is lent.
      returned: always
      type: list
      elements: dict
      sample:
        - holder: libvirt:guest1
          since: "2026-11-23T07:05:00Z"
          until: null
    quarantined:
      description:
        - Why the helper does not take it again before C(vfio-powerctl clear), or null.
        - The code is V(quarantined) where the host died while the device was asleep for the first
          time in a boot, or where it reported an uncorrectable error; V(power-error) where it did
          not come back.
      returned: always
      type: dict
      sample:
        code: power-error
        message: >-
          0000:65:00.0: did not come back from D3cold (runtime status active) when it was let go
        since: "2026-11-23T07:05:00Z"
    quirks:
      description: What it is known not to take.
      returned: always
      type: list
      elements: dict
      contains:
        kind:
          description: V(no-hold), V(no-reentry) or V(no-d3cold).
          returned: always
          type: str
          sample: no-reentry
        reason:
          description: Why.
          returned: always
          type: str
          sample: NVIDIA display controllers need their guest driver to prepare each low-power entry
        source:
          description: Who says so.
          returned: always
          type: str
          sample: the cover letter of the kernel's low-power features (2022-07-19, A. Sahu, NVIDIA)
    why:
      description:
        - Why it is awake, why it is not deeper asleep, and what is around it, from sysfs, C(/proc)
          and the files of other tools. The reasons are explained in C(docs/drift.md).
        - Null where it is not on the bus.
      returned: always
      type: dict
      contains:
        best:
          description: The deepest state that hardware, firmware and kernel leave open, whatever
            keeps it from there now, V(D0), V(D3hot) or V(D3cold). Null where nobody can tell.
          returned: always
          type: str
          sample: D3cold
        awake:
          description: What keeps it awake. Empty where it is not awake.
          returned: always
          type: list
          elements: dict
          contains: &reason
            code:
              description: The kind of reason, for programs.
              returned: always
              type: str
              sample: control-on
            address:
              description: The device or port that it is about.
              returned: always
              type: str
              sample: "0000:65:00.0"
            message:
              description: One sentence with the facts.
              returned: always
              type: str
              sample: "power/control of 0000:65:00.0 reads on: it must not be suspended"
            hint:
              description: The next step.
              returned: always
              type: str
              sample: "To let it sleep: echo auto > /sys/bus/pci/devices/0000:65:00.0/power/control"
        not_deeper:
          description: What is between it and D3cold. Empty where it is there.
          returned: always
          type: list
          elements: dict
          contains: *reason
        ports:
          description: The ports above it, from its root port down.
          returned: always
          type: list
          elements: dict
          contains: &node
            address:
              description: Where it is.
              returned: always
              type: str
              sample: "0000:00:01.0"
            driver:
              description: The driver it is bound to, or null.
              returned: always
              type: str
              sample: pcieport
            power_state:
              description: Its power state as it was seen.
              returned: always
              type: str
              sample: D0
            runtime_status:
              description: The state of runtime power management as it was seen.
              returned: always
              type: str
              sample: active
            control:
              description: V(auto) where it may be suspended, V(on) where it must not.
              returned: always
              type: str
              sample: auto
            d3cold_allowed:
              description: Whether the kernel may choose D3cold for it. Null where nobody says so.
              returned: always
              type: bool
              sample: true
            platform_power:
              description: Whether ACPI can cut its power.
              returned: always
              type: bool
              sample: true
            may_sleep:
              description: Of a port, whether the kernel lets it sleep at all. Null where nobody says
                so.
              returned: always
              type: bool
              sample: true
            hotplug:
              description: Of a port, whether cards can be plugged in below it while the host runs.
              returned: always
              type: bool
              sample: false
            virtual_functions:
              description: How many virtual functions it has.
              returned: always
              type: int
              sample: 0
        device:
          description: The device itself, likewise.
          returned: always
          type: dict
          contains: *node
        siblings:
          description: All other devices below the same ports, likewise.
          returned: always
          type: list
          elements: dict
          contains: *node
        rivals:
          description: The lines by which others decide about its sleep.
          returned: always
          type: list
          elements: dict
          contains: *rival
    drift:
      description:
        - What of it is not as declared. The keys are those of RV(drift) without the address.
      returned: always
      type: list
      elements: dict
      sample: []
drift:
  description: All drift of the host and of its devices.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The device, or null for the host or a rule.
      returned: always
      type: str
      sample: "0000:65:00.0"
    code:
      description:
        - The kind of drift, for programs. Each is explained in C(docs/drift.md) of this collection.
        - "Of severity V(drift): V(helper-down), V(api-mismatch), V(device-missing),
          V(identity-changed), V(not-bound), V(group-not-viable), V(unsupported),
          V(kernel-refused), V(node-denied), V(mode-mismatch), V(runtime-pm-forbidden),
          V(host-policy), V(not-suspended), V(not-as-expected), V(wake-storm), V(stuck),
          V(power-error), V(quarantined), V(set-incomplete), V(undeclared-hold),
          V(count-mismatch), V(state-damaged)."
        - "Of severity V(excused): V(leased), V(busy), V(paused), V(awake-by-quirk)."
        - "Of severity V(info): V(waiting), V(d3cold-blocked), V(no-power-management),
          V(rival-policy), V(helper-outdated), V(not-kept), V(hold-saves-nothing)."
      returned: always
      type: str
      sample: not-bound
    severity:
      description:
        - V(drift), V(excused) for what is meant to be so, such as a device in a guest, or
          V(info).
      returned: always
      type: str
      sample: drift
    message:
      description: One sentence with the facts.
      returned: always
      type: str
      sample: "0000:65:00.0 (10de:2204, rule 'gpus') is on the driver nvidia, not on a VFIO driver"
    hint:
      description: The next step, or an empty text.
      returned: always
      type: str
      sample: "Bind it, for example: driverctl set-override 0000:65:00.0 vfio-pci"
drifted:
  description:
    - Whether anything is not as declared. Only drift of severity V(drift) counts.
    - Null where RV(limited) and nothing of it was seen, for then nobody knows.
  returned: success
  type: bool
  sample: false
summary:
  description:
    - The picture in numbers of devices, but for V(drift), which counts what of severity V(drift) is in
      RV(drift). V(awake) is every device in D0, also one that is in use.
  returned: success
  type: dict
  sample:
    devices: 8
    declared: 8
    held: 7
    asleep: 7
    awake: 1
    unknown: 0
    drift: 0
    excused: 1
limited:
  description:
    - Whether it was looked without root, so that declaration, helper and processes stayed unseen.
  returned: success
  type: bool
  sample: false
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vfio.power.plugins.module_utils._module import (
    answer_or_fail,
    require_python,
)

ARGUMENTS = {
    "devices": {"type": "list", "elements": "raw", "default": []},  # raw: see low_power.py
    "drift_only": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 10},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    require_python(module)
    from ansible_collections.vfio.power.plugins.module_utils._importing import compile_once

    compile_once()
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.ask.low_power_info import (
        Question,
        ask,
    )

    answer_or_fail(module, lambda: ask(Question(**module.params)))


if __name__ == "__main__":
    main()
