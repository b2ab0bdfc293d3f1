# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody else who opens a device: a guest, or whoever tries whether it is free."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.backends import (
    Group,
    Iommufd,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    KernelRefused,
)

from .kernel import FakeKernel

if TYPE_CHECKING:
    from .host import FakeDevice, FakeHost


class Guest:
    """Has the device open until it is stopped."""

    def __init__(self, host: FakeHost, device: FakeDevice) -> None:
        """Open the device. Raises OSError where that is refused."""
        kernel = FakeKernel(host, [])
        with ExitStack() as opening:
            try:
                if device.cdev:
                    iommufd = Iommufd.open(kernel, host.dev)
                    opening.callback(iommufd.close)
                    opening.callback(iommufd.device(device.address, lambda _own: device.cdev).close)
                else:
                    group = Group.open(device.group, kernel, host.dev)
                    opening.callback(group.close)
                    opening.callback(group.device(device.address).close)
            except KernelRefused as refused:
                raise OSError(refused.number, str(refused)) from refused
            self._nodes = opening.pop_all()

    def stop(self) -> None:
        """Shut down and give the device back."""
        self._nodes.close()
