# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The socket's interface as text, served by the helper and read by ``varlinkctl introspect``.

Modes are plain strings: Varlink's enumerations cannot spell ``entry-with-wakeup``. Numbers
of seconds are floats, times are seconds since the epoch.
"""

from __future__ import annotations

NAME = "io.vfiopower.Helper1"
SOCKET = f"/run/vfio-power/{NAME}"

TEXT = f"""\
# Keeps VFIO devices in the low-power mode that was declared for them.
# Root only, and internal to vfio.power until its version 1.0.
interface {NAME}

# Times a device left low power; foreign: not by a call of the helper's own.
type Wakes (total: int, foreign: int, last: ?float)

# How entries after wakes are bounded. breaker: closed, open or half-open; put_off_by: bucket or
# breaker, while a device waits longer than its delay.
type Reentries (
  breaker: string,
  put_off_by: ?string,
  suppressed: int,
  storm_wakes: int,
  storm_seconds: float
)

# A device given to a named holder, until then or until the next boot; ends: since the boot.
type Lease (address: string, holder: string, since: float, until: ?float, ends: ?float)

# A call into the kernel that has not returned after so many seconds; null: it waits for its turn.
type Running (call: string, since: float, seconds: ?float)

# Why the helper could not do what is declared.
type Failure (code: string, message: string, hint: string, operation: string, errno: string)

# Why a device is not taken any more; the code is that of its drift.
type Quarantined (code: string, message: string, since: float)

# A wake, own or foreign; devices below one port that wake at once are one incident.
type Incident (at: float, kind: string, devices: int)

# What became of a card over the years. before: in seconds, before the kernel's own counters began.
type History (
  since: float,
  own: int,
  foreign: int,
  incidents: int,
  last: []Incident,
  asleep_before: float,
  awake_before: float
)

# One declared, held, leased or quarantined device, from the helper's memory.
type Device (
  address: string,
  rule: ?string,
  state: string,
  held: bool,
  engaged: string,
  backend: ?string,
  wakes: ?Wakes,
  entered: ?float,
  waiting_until: ?float,
  reentries: ?Reentries,
  taken_after: ?float,
  leases: []Lease,
  running: ?Running,
  failure: ?Failure,
  quarantined: ?Quarantined,
  history: ?History
)

type Outcome (device: Device, actions: []string)
type Pending (address: string, call: string, since: float, seconds: ?float)
type Problem (place: string, message: string)

method GetStatus() -> (
  version: string,
  api_revision: int,
  generation: int,
  damaged: ?string,
  boot_id: string,
  workers: int,
  pid: ?int,
  kept: ?int,
  paused: ?string,
  stuck: ?int
)

method List() -> (generation: int, damaged: ?string, devices: []Device)

# With "more", a reply with device and actions as each device is done; then the rest.
method Apply(rules: []object, exclude: []object, expected_generation: int, timeout: ?float) -> (
  device: ?Device,
  actions: ?[]string,
  generation: ?int,
  outcomes: ?[]Outcome,
  pending: ?[]string
)

# Answers when the kernel has let go of the whole unit of each device; "all": every device that is
# declared or held, whatever the addresses. One that did not come back says so in its failure; it
# is lent all the same.
method Release(addresses: []string, all: ?bool, holder: string, ttl: ?float) -> (
  devices: []Device
)

method Reclaim(addresses: []string, holder: ?string) -> (devices: []Device)

# Enters devices once more that stay awake because of a quirk.
method Rearm(addresses: []string) -> (devices: []Device)

# Lets devices out of quarantine; those that are declared are taken.
method Clear(addresses: []string) -> (devices: []Device)

# Lets everything go and takes nothing, also after a boot, until Resume; "paused" says why.
method Pause() -> (devices: []Device, paused: ?string)

method Resume() -> (devices: []Device, paused: ?string)

# Only with "more": leaves devices awake, and takes none of them, for as long as the client is
# connected. The answer comes when they are awake; on those that are pending a call hangs.
method HoldOff(addresses: []string) -> (devices: []Device, pending: []string)

# Lets go of everything and takes nothing any more: the helper is about to be stopped.
method LetGo() -> (held: []string)

# Only with "more": first all devices, then each event as it happens.
method Monitor() -> (
  event: string,
  time: float,
  address: ?string,
  detail: ?string,
  device: ?Device,
  devices: ?[]Device
)

error GenerationMismatch (expected: int, actual: int)
error InputRefused (problems: []Problem)
error LeaseHeld (leases: []Lease)
# With a holder the devices are lent to it all the same.
error Timeout (pending: []Pending, holder: ?string)
error Malformed (reason: string)
error Failed (message: string, hint: string)
"""

SERVICE_TEXT = """\
# What every Varlink service says of itself.
interface org.varlink.service

method GetInfo() -> (
  vendor: string,
  product: string,
  version: string,
  url: string,
  interfaces: []string
)

method GetInterfaceDescription(interface: string) -> (description: string)

error InterfaceNotFound (interface: string)
error MethodNotFound (method: string)
error MethodNotImplemented (method: string)
error InvalidParameter (parameter: string)
error PermissionDenied ()
error ExpectedMore ()
"""
