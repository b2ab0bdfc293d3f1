#!/usr/bin/python
# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# No future import: see plugins/module_utils/_module.py.

DOCUMENTATION = r"""
module: low_power
short_description: Declare the low-power mode of PCI devices that are passed through
version_added: 0.1.0
description:
  - B(Which mode?)
  - "The device is held by nobody and sleeps already, as the kernel lets every unopened device of
    C(vfio-pci) do: V(none) with O(devices[].expect=asleep). It is verified and not touched."
  - "The host keeps its devices awake (C(disable_idle_d3=1)) and this one sleeps well: V(entry).
    Any access wakes it, and the kernel puts it back to sleep by itself."
  - "You want to know how often it is woken, or to bound that: V(entry-with-wakeup). The first
    access wakes it and is counted, and the helper lets it sleep again after
    O(devices[].reentry.delay). Who wakes it C(vfio-powerctl watch --who) tells while it happens."
  - "It must stay awake, and nobody else's: V(none) with O(devices[].reserve=true)."
  - "An NVIDIA display controller needs its guest driver before each entry: V(none) with
    O(devices[].expect=asleep), where C(disable_idle_d3) is off. V(entry) is refused for it; with V(entry-with-wakeup) it is entered
    once after it was opened, then stays awake until C(vfio-powerctl rearm)."
  - "A device is known not to take a mode (a quirk, shipped or in C(/etc/vfio-power/quirks.d)): a
    declaration that puts it there is refused, with the reason and who says so, and nothing is
    written. With O(apply=false) nobody looks, and the helper does not hold such a device."
  - B(What it does.) Stores the rules on the host, then asks the helper there to open the devices
    and to enter the mode, waits until they had time to fall asleep, and looks whether they did.
    The role P(vfio.power.helper#role) installs the helper.
  - B(Host policy.) O(devices[].runtime_pm) and O(devices[].d3cold) are written by this module, kept by
    udev rules that it leaves, and written back by it or with the removal of the helper, which never
    writes them itself. Only what differs is written, while the helper keeps off the device, since a write
    wakes it. C(/etc/udev/rules.d/62-vfio-power.rules) keeps the policy over a boot and for a card that
    is plugged in again. See C(docs/host-policy.md) of this collection.
  - What a mode allows and what a device does are told apart. RV(devices[].engaged) is the mode in
    force in the kernel, RV(devices[].power_state) is what was seen.
  - Give all devices of a host in one task. A loop over devices costs a second for each.
notes:
  - Do not gather facts in plays for these hosts. Ansible's own gathering runs C(lspci), which wakes
    every device that sleeps in D3cold. Use C(gather_facts=false).
  - Put quotes around addresses and hexadecimal digits. Without them YAML reads V(0000:41:00.0) as
    the number 2460.0 and V(0302) as 194. Such numbers are refused with the place they stand at.
  - Opening a device resets it. No guest and no other process has it open at that time, or the
    kernel refuses; it is then reported as V(busy) and left alone.
  - A device in quarantine is left alone and reported as V(quarantined) or V(power-error), until
    C(vfio-powerctl clear) is called on the host. It gets there when the host died while it was
    asleep for the first time in a boot, when it reported an uncorrectable error, or when it did not
    come back. RV(vfio.power.low_power_info#module:devices[].quarantined) says more.
  - While the helper is paused (C(vfio-powerctl pause), a file C(/etc/vfio-power/off), or
    C(vfio_power=off) on the kernel command line) rules are stored and no device is taken, which is
    reported as V(paused) and excused.
requirements:
  - Python 3.9 or newer on the host
  - root on the host
  - pyudev on the host, only where O(devices[].match.property) is used
author:
  - The vfio.power authors (@ansible-collections)
extends_documentation_fragment:
  - vfio.power.attributes
  - vfio.power.attributes.action_group
attributes:
  check_mode:
    support: full
    details:
      - Opens nothing and wakes nothing.
      - Where the helper is not installed yet, what would happen is told from what the kernel
        shows, with a warning and with RV(devices[].capability) V(unknown).
  diff_mode:
    support: full
    details:
      - One difference for each rule that changes, for the exclusions, for each device, and for the
        file of udev rules.
  idempotent:
    support: full
    details:
      - What the helper does by itself, power states and counters are never a change.
options:
  devices:
    description:
      - The rules, in their order.
      - A device goes by the rule with its exact address, or else by the first rule whose
        O(devices[].match)
        fits it.
    type: list
    elements: raw
    required: true
    suboptions:
      name:
        description:
          - What the rule is called. It identifies the rule when lists are merged.
          - By default it is the address, or the match in one line. Either way 256 letters are the most.
        type: str
      address:
        description:
          - The address of one device, full as V(0000:65:00.0) or short as V(65:00.0), in quotes.
          - Exactly one of O(devices[].address) and O(devices[].match) is needed.
        type: str
      match:
        description:
          - What a device has to be to go by this rule. All keys have to fit, and of a list one of
            its values.
          - Without V(driver) only devices are seen that are bound to a VFIO driver. Others that
            would fit are named in RV(passed_over).
        type: dict
        suboptions:
          vendor:
            description: Vendor IDs, four hexadecimal digits in quotes.
            type: list
            elements: str
          device:
            description: Device IDs, four hexadecimal digits in quotes.
            type: list
            elements: str
          subsystem_vendor:
            description: Subsystem vendor IDs, four hexadecimal digits in quotes.
            type: list
            elements: str
          subsystem_device:
            description: Subsystem device IDs, four hexadecimal digits in quotes.
            type: list
            elements: str
          class:
            description:
              - Beginnings of the class code, two, four or six hexadecimal digits in quotes.
              - V(03) are all display controllers, V(0302) are 3D controllers.
            type: list
            elements: str
          driver:
            description: Names of kernel drivers.
            type: list
            elements: str
          iommu_group:
            description: Numbers of IOMMU groups.
            type: list
            elements: int
          numa_node:
            description: Numbers of NUMA nodes.
            type: list
            elements: int
          slot:
            description: Labels of physical slots, as in C(/sys/bus/pci/slots).
            type: list
            elements: str
          boot_vga:
            description: Whether the firmware used the device as its display.
            type: bool
          property:
            description:
              - Properties in the udev database and the shell pattern that each has to fit.
              - A udev rule can label devices, for example with C(ENV{VFIO_POWER_LABEL}="parked").
            type: dict
      state:
        description:
          - V(absent) removes the rule of this O(devices[].name), or with this selector.
        type: str
        choices: [present, absent]
        default: present
      mode:
        description:
          - The low-power mode. Needed unless O(devices[].state=absent).
          - "V(none): the helper does not open the device, unless O(devices[].reserve=true). The
            kernel's own rule applies."
          - "V(entry): held and allowed to sleep. Any access wakes it, and it goes back to sleep by
            itself."
          - "V(entry-with-wakeup): held and allowed to sleep. The first access wakes it, is counted,
            and ends low power until the helper enters it again."
        type: str
        choices: [none, entry, entry-with-wakeup]
      reserve:
        description:
          - With V(true) and O(devices[].mode=none) the helper holds the device awake, and nobody
            else can open it.
        type: bool
        default: false
      expect:
        description:
          - The state that the device has to be seen in. Another one is drift.
          - "V(awake): not asleep. V(asleep): suspended, in D3hot or D3cold. V(d3cold): suspended, in
            D3cold. V(any): every state is right."
          - By default V(asleep) with an entry mode, V(awake) with O(devices[].reserve=true), and
            V(any) otherwise.
        type: str
        choices: [any, awake, asleep, d3cold]
      runtime_pm:
        description:
          - Whether the kernel may suspend the device (C(power/control)). Left alone by default.
          - "V(allow) writes V(auto), V(forbid) writes V(on). V(forbid) is refused with an entry mode,
            and where sleep is expected."
          - Anything other than what is declared is drift, with the code V(host-policy), and the
            device is not entered meanwhile.
        type: str
        choices: [allow, forbid]
      d3cold:
        description:
          - Whether the kernel may cut the device's power (C(d3cold_allowed)). Left alone by default.
          - V(forbid) is for a device that does not come back well from D3cold. It sleeps in D3hot.
          - Like O(devices[].runtime_pm) it is kept over reboots, and what was found is written back
            when it is no longer declared.
        type: str
        choices: [allow, forbid]
      reentry:
        description:
          - When and how often the helper lets a woken device sleep again, with
            O(devices[].mode=entry-with-wakeup).
          - A device that is woken again and again within seconds is left awake for 15 minutes and
            then tried once more. That is drift, with the code V(wake-storm).
          - A wake by the helper's own work on another function of the card takes nothing from the
            bounds.
        type: dict
        suboptions:
          delay:
            description:
              - Seconds between the wake and the next entry, from 0.1 to 86400. Every wait is up to
                a tenth shorter or longer, so that the devices of a host do not move in step.
            type: float
            default: 5
          max_per_hour:
            description:
              - How many entries after wakes there may be per hour in the long run, from 1 to 36000.
              - A woken device waits for its turn beyond the delay where they are used up. That is
                no drift.
            type: int
            default: 60
          burst:
            description:
              - How many entries after wakes there may be before O(devices[].reentry.max_per_hour)
                slows them down, from 1 to 36000.
            type: int
            default: 10
      count:
        description:
          - How many devices the rule has to find. Another number is drift.
          - Without it, a match that finds nothing is fine.
        type: int
  exclude:
    description:
      - Selectors of devices that no rule may have. A device that was declared is let go.
      - With O(purge=false) they are added to those that are stored, and stay. Only O(purge=true) takes
        an exclusion away.
    type: list
    elements: raw
    default: []
    suboptions:
      address:
        description: As O(devices[].address).
        type: str
      match:
        description: As O(devices[].match).
        type: dict
  purge:
    description:
      - V(true) makes O(devices) and O(exclude) all that is declared on the host. This is refused
        with a list that declares nothing, be it empty or with O(devices[].state=absent) alone.
      - V(false) adds to what is declared and excluded there. A rule of the same name is replaced in its place.
    type: bool
    default: false
  apply:
    description:
      - V(false) stores the declaration and does nothing else. It needs no device and no helper,
        and is meant for building images.
      - No host policy is written then. A device with O(devices[].runtime_pm) or O(devices[].d3cold)
        is held awake until a task applied it.
      - On a host whose helper runs, this does not keep the devices as they are. The helper reads
        what is stored when it starts, and again whenever any device of the host is bound, unbound,
        added or removed. From then on the devices that were declared before go by the new rules,
        and may be opened, entered or let go. Those that are declared for the first time follow
        when they are bound, when the helper starts, or with the next task that applies.
    type: bool
    default: true
  settle:
    description:
      - How many seconds a device gets after its mode was entered until its state is judged.
      - Nothing is waited for once every device is as expected.
      - From 0 to 86400.
    type: int
    default: 5
  timeout:
    description:
      - How many seconds opening and closing the devices may take.
      - From 1 to 86400.
    type: int
    default: 120
  fail_on_drift:
    description:
      - Whether the task fails when a device is not as declared after settling.
      - In any case the task fails for a device that the kernel refused, that is named by its
        O(devices[].address) and is on a driver of the host, whose host policy could not be written, or
        that was not done within O(timeout). The other devices are done.
    type: bool
    default: true
seealso:
  - module: vfio.power.low_power_info
"""

EXAMPLES = r"""
- name: Let the spare GPUs and their audio functions sleep, and know how often they are woken
  vfio.power.low_power:
    devices:
      - name: the card that must answer at once
        address: "0000:65:00.0"
        mode: none
        reserve: true
      - name: gpus
        match:
          vendor: ["1002"]
          class: ["03", "0403"]
        mode: entry-with-wakeup
        reentry:
          delay: 30
          max_per_hour: 20
        count: 16
    purge: true
  become: true

- name: Make sure that parked network cards sleep as the kernel lets them, without holding them
  vfio.power.low_power:
    devices:
      - match:
          class: ["02"]
          property:
            VFIO_POWER_LABEL: parked*
        mode: none
        expect: asleep
  become: true

- name: No longer declare one device, and never take another
  vfio.power.low_power:
    devices:
      - address: "0000:41:00.0"
        state: absent
    exclude:
      - address: "0000:c1:00.0"
  become: true

- name: Let a card sleep that does not come back from D3cold, no deeper than D3hot
  vfio.power.low_power:
    devices:
      - address: "0000:65:00.0"
        mode: entry
        d3cold: forbid
  become: true

- name: Put the declaration into an image that is being built
  vfio.power.low_power:
    devices:
      - match:
          driver: [vfio-pci]
        mode: entry
    apply: false
  become: true
"""

RETURN = r"""
problems:
  description: Everything that is wrong with the options.
  returned: when the options were refused
  type: list
  elements: dict
  contains:
    place:
      description: Where it is wrong.
      returned: always
      type: str
      sample: devices[3] (gpus).mode
    message:
      description: What is wrong, and what would be right.
      returned: always
      type: str
      sample: "'sleep' is not one of none, entry or entry-with-wakeup"
applied:
  description: Whether the devices were brought to what is declared, and it was not only stored.
  returned: when the host was looked at to the end, also where the task fails for what it found there
  type: bool
  sample: true
drifted:
  description: Whether a device is not as declared. Only drift of severity V(drift) counts.
  returned: when the host was looked at to the end, also where the task fails for what it found there
  type: bool
  sample: false
drift:
  description: What is not as declared, and what excuses or explains it.
  returned: when the host was looked at to the end, also where the task fails for what it found there
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
      sample: not-suspended
    severity:
      description: V(drift), V(excused) for what is meant to be so, such as a device in a guest,
        or V(info).
      returned: always
      type: str
      sample: drift
    message:
      description: One sentence with the facts.
      returned: always
      type: str
      sample: "0000:65:00.0 (10de:2204, rule 'gpus') is awake in D0 in mode entry-with-wakeup"
    hint:
      description: The next step, or an empty text.
      returned: always
      type: str
      sample: "Look what uses it or holds it awake: vfio-powerctl why 0000:65:00.0"
devices:
  description: The devices of this list and those that were let go, in bus order.
  returned: when the host was looked at to the end, also where the task fails for what it found there
  type: list
  elements: dict
  contains:
    address:
      description: The device.
      returned: always
      type: str
      sample: "0000:65:00.0"
    model:
      description: What the device is, from the udev database or as IDs. Null where it is not on the
        bus and never was.
      returned: always
      type: str
      sample: Intel Corporation 82574L Gigabit Network Connection
    rule:
      description: The rule the device goes by, or null when it is no longer declared.
      returned: always
      type: str
      sample: gpus
    mode:
      description: The declared mode, or null when it is no longer declared.
      returned: always
      type: str
      sample: entry-with-wakeup
    held:
      description: Whether the helper has the device open. In check mode, whether it would.
      returned: always
      type: bool
      sample: true
    engaged:
      description: The mode in force in the kernel. In check mode, the one that would be.
      returned: always
      type: str
      sample: entry-with-wakeup
    power_state:
      description: The power state as it was seen. Null where the device is not on the bus.
      returned: always
      type: str
      sample: D3cold
    runtime_status:
      description: The state of runtime power management as it was seen. Null where the device is
        not on the bus.
      returned: always
      type: str
      sample: suspended
    capability:
      description:
        - Whether the kernel offers the declared mode for the device.
        - V(supported) where the mode is engaged, V(unsupported) where the kernel refused it.
        - V(unknown) everywhere else. To ask the kernel would wake the device, and before that open
          it, which resets it. So it is with V(none), and for what check mode only predicts.
      returned: always
      type: str
      sample: supported
    changed:
      description: Whether this run opened, closed, entered or exited, wrote the host's policy, or
        changed what is declared for the device.
      returned: always
      type: bool
      sample: false
    before:
      description: How the device stood before. C(runtime_pm) and C(d3cold) are the
        host's policy as it was seen, V(allow), V(forbid), or null where it was not.
      returned: always
      type: dict
      sample:
        rule: null
        mode: null
        held: false
        engaged: none
        runtime_pm: allow
        d3cold: allow
    after:
      description: How the device stands after, with the same keys.
      returned: always
      type: dict
      sample:
        rule: gpus
        mode: entry-with-wakeup
        held: true
        engaged: entry-with-wakeup
        runtime_pm: allow
        d3cold: forbid
    error:
      description: Why the device could not be brought to what is declared, or null.
      returned: always
      type: str
      sample: null
    drift:
      description: The codes of its drift.
      returned: always
      type: list
      elements: str
      sample: []
rules:
  description: Every rule that is declared now, in order.
  returned: when the host was looked at to the end, also where the task fails for what it found there
  type: list
  elements: dict
  contains:
    name:
      description: The rule's name.
      returned: always
      type: str
      sample: gpus
    matched:
      description: How many devices go by it. Null with O(apply=false), which looks at no device.
      returned: always
      type: int
      sample: 8
passed_over:
  description: Devices that a match would fit, left alone because a driver of the host has them.
  returned: when the host was looked at to the end, also where the task fails for what it found there
  type: list
  elements: dict
  contains:
    address:
      description: The device.
      returned: always
      type: str
      sample: "0000:02:00.0"
    driver:
      description: The driver that has it.
      returned: always
      type: str
      sample: nvidia
    rule:
      description: The rule that would fit it.
      returned: always
      type: str
      sample: gpus
unlisted:
  description: Rules that are declared on the host and are not in this list.
  returned: when the host was looked at to the end, also where the task fails for what it found there
  type: list
  elements: dict
  contains:
    name:
      description: The rule's name.
      returned: always
      type: str
      sample: nics
    devices:
      description: The devices that go by it.
      returned: always
      type: list
      elements: str
      sample: ["0000:c1:00.0"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vfio.power.plugins.module_utils._module import (
    answer_or_fail,
    require_python,
    require_root,
)

ARGUMENTS = {
    # Taken raw, all the way down: the parser has to see what YAML made of an unquoted address,
    # and it names every problem of a list at once.
    "devices": {"type": "list", "elements": "raw", "required": True},
    "exclude": {"type": "list", "elements": "raw", "default": []},
    "purge": {"type": "bool", "default": False},
    "apply": {"type": "bool", "default": True},
    "settle": {"type": "int", "default": 5},
    "timeout": {"type": "int", "default": 120},
    "fail_on_drift": {"type": "bool", "default": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    require_python(module)
    from ansible_collections.vfio.power.plugins.module_utils._importing import compile_once

    compile_once()
    require_root(module)
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.ask.low_power import ask
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.ask.task import Wish

    wish = Wish(**module.params)
    answer_or_fail(module, lambda: ask(wish, check=module.check_mode))


if __name__ == "__main__":
    main()
