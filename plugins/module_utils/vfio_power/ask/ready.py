# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host can do what is asked of it; all that is missing is told at once."""

from __future__ import annotations

from collections.abc import Iterator

from ..think.drift import ABSENT, RUNNING, STOPPED
from ..touch.view import HostView
from ..words.declaration import Declaration
from ..words.errors import VfioPowerError
from ..words.version import API_REVISION


class NotReady(VfioPowerError):
    """The host lacks something; nothing was changed."""

    def __init__(self, missing: list[str]) -> None:
        super().__init__("Nothing was changed. " + " ".join(missing))
        self.missing = missing


def holds_anything(declaration: Declaration) -> bool:
    """Tell whether a rule asks for the helper; those that only look do not."""
    return any(rule.holds for rule in declaration.rules)


def missing(view: HostView, wanted: Declaration) -> list[str]:
    """Return a sentence, with its next step, for each thing that the host lacks."""
    return [*_of_the_helper(view, wanted), *_of_the_kernel(view, wanted)]


def _of_the_helper(view: HostView, wanted: Declaration) -> Iterator[str]:
    helper = view.helper
    if helper.state == ABSENT:
        if holds_anything(wanted):
            yield (
                "The helper is not installed on this host, and a rule asks it to hold devices."
                " Install it with the role vfio.power.helper."
            )
    elif helper.state == STOPPED:
        return  # only in check mode: whoever applies has started it
    elif helper.state != RUNNING:
        yield (
            "The helper is installed and does not answer."
            " Look at: systemctl status vfio-powerd.socket vfio-powerd.service."
        )
    elif helper.api_revision != API_REVISION:
        yield (
            f"The helper speaks API revision {helper.api_revision}, and {API_REVISION} is needed."
            " Bring both to one version with the role vfio.power.helper."
        )


def _of_the_kernel(view: HostView, wanted: Declaration) -> Iterator[str]:
    if not holds_anything(wanted):
        return
    if not view.host.iommu:
        yield (
            "The host has no IOMMU group in /sys/kernel/iommu_groups. Switch the IOMMU on in the"
            " firmware, and on the kernel command line where it is needed (intel_iommu=on)."
        )
    if not view.host.vfio:
        yield (
            "The host has neither /dev/vfio/vfio nor /dev/iommu. Load the driver with"
            " 'modprobe vfio-pci', and name it in /etc/modules-load.d to have it after a boot."
        )
