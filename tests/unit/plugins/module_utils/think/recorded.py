# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Linux 6.12 wrote to trace_pipe while devices in D3cold were woken.

0000:01:00.0 is held in entry-with-wakeup, 0000:02:00.0 in entry, and so are 0000:06:00.0 and
0000:06:00.1, which hang on one port. The helper is process 447.
"""

from __future__ import annotations

NIC, DISK, DUAL0, DUAL1 = "0000:01:00.0", "0000:02:00.0", "0000:06:00.0", "0000:06:00.1"

# lspci -s 01:00.0; it ran for the first time, and the kernel had not noted its name yet.
LSPCI = """\
           <...>-546     [000] d..1.   216.982504: rpm_resume: 0000:01:00.0 flags-0 cnt-1  dep-0  auto-1 p-0 irq-0 child-0
           lspci-546     [000] d..1.   217.035416: rpm_return_int: rpm_idle+0xfa/0x290:0000:01:00.0 ret=-11
           lspci-546     [000] d..1.   217.035538: rpm_return_int: rpm_resume+0x310/0x700:0000:01:00.0 ret=0
"""  # noqa: E501

# setpci -s 02:00.0 0.l; the kernel puts the device back by itself.
SETPCI = """\
          setpci-548     [000] d..1.   218.791358: rpm_resume: 0000:02:00.0 flags-0 cnt-1  dep-0  auto-1 p-0 irq-0 child-0
          setpci-548     [000] d..1.   218.804318: rpm_return_int: rpm_idle+0xfa/0x290:0000:02:00.0 ret=-11
          setpci-548     [000] d..1.   218.804360: rpm_return_int: rpm_resume+0x310/0x700:0000:02:00.0 ret=0
          setpci-548     [000] d..1.   218.804550: rpm_return_int: rpm_idle+0x1fe/0x290:0000:02:00.0 ret=0
     kworker/0:1-10      [000] d..1.   218.807685: rpm_return_int: rpm_idle+0xfa/0x290:0000:02:00.0 ret=0
     kworker/0:1-10      [000] d..1.   218.824215: rpm_return_int: rpm_suspend+0x17f/0x5f0:0000:02:00.0 ret=0
"""  # noqa: E501

# The helper enters low power again: it calls a device that is awake.
ENTERING = """\
         python3-452     [001] d..1.   219.865052: rpm_resume: 0000:01:00.0 flags-4 cnt-2  dep-0  auto-1 p-0 irq-0 child-0
         python3-452     [001] d..1.   219.865076: rpm_return_int: rpm_resume+0x310/0x700:0000:01:00.0 ret=1
         python3-452     [001] dN.1.   219.865547: rpm_return_int: rpm_idle+0x1fe/0x290:0000:01:00.0 ret=0
     kworker/1:1-45      [001] d..1.   219.865615: rpm_return_int: rpm_idle+0xfa/0x290:0000:01:00.0 ret=0
     kworker/1:1-45      [001] d..1.   219.881195: rpm_return_int: rpm_suspend+0x17f/0x5f0:0000:01:00.0 ret=0
"""  # noqa: E501

# lspci -s 06:00.0 has the port come up, which asks for all devices below it.
BOTH_BELOW_A_PORT = """\
           lspci-550     [001] d..1.   220.680945: rpm_resume: 0000:06:00.0 flags-1 cnt-0  dep-0  auto-1 p-0 irq-0 child-0
           lspci-550     [001] d..1.   220.681529: rpm_return_int: rpm_resume+0x310/0x700:0000:06:00.0 ret=0
           lspci-550     [001] d..1.   220.681594: rpm_resume: 0000:06:00.1 flags-1 cnt-0  dep-0  auto-1 p-0 irq-0 child-0
           lspci-550     [001] d..1.   220.681599: rpm_return_int: rpm_resume+0x310/0x700:0000:06:00.1 ret=0
           lspci-550     [001] d..1.   220.682868: rpm_resume: 0000:06:00.0 flags-0 cnt-2  dep-0  auto-1 p-1 irq-0 child-0
     kworker/1:1-45      [001] d..1.   220.683105: rpm_resume: 0000:06:00.1 flags-2 cnt-0  dep-0  auto-1 p-0 irq-0 child-0
     kworker/1:1-45      [001] d..1.   220.698492: rpm_return_int: rpm_idle+0x1fe/0x290:0000:06:00.1 ret=0
     kworker/1:1-45      [001] d..1.   220.698530: rpm_return_int: rpm_resume+0x310/0x700:0000:06:00.1 ret=0
     kworker/1:1-45      [001] d..1.   220.698558: rpm_return_int: rpm_idle+0xfa/0x290:0000:06:00.1 ret=0
           lspci-550     [001] d..1.   220.698784: rpm_return_int: rpm_idle+0xfa/0x290:0000:06:00.0 ret=-11
           lspci-550     [001] d..1.   220.698786: rpm_return_int: rpm_resume+0x310/0x700:0000:06:00.0 ret=0
"""  # noqa: E501

# The helper ends low power, to let the device go.
EXITING = """\
         python3-454     [000] d..1.   234.445337: rpm_resume: 0000:01:00.0 flags-4 cnt-1  dep-0  auto-1 p-0 irq-0 child-0
         python3-454     [000] d..1.   234.458364: rpm_return_int: rpm_idle+0xfa/0x290:0000:01:00.0 ret=-11
         python3-454     [000] d..1.   234.458404: rpm_return_int: rpm_resume+0x310/0x700:0000:01:00.0 ret=0
"""  # noqa: E501

GAP = "CPU:0 [LOST 12 EVENTS]\n"
