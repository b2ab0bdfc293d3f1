# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's messages and udev's database; what needs pyudev says so when it is missing."""

from __future__ import annotations

import select
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch import udev
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.udev import (
    Uevent,
    Uevents,
    UeventsLost,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress

from ..fake.host import FakeHost

NIC = PciAddress.parse("0000:02:00.0")


class Told:
    """A device as a monitor hands it out."""

    def __init__(self, action: str, sys_name: str, **properties: str) -> None:
        self.action, self.sys_name, self.properties = action, sys_name, properties


class Monitor:
    """A monitor with messages that wait, and then perhaps a failure."""

    def __init__(self, *told: Told, failure: int = 0) -> None:
        self._told, self._failure = list(told), failure

    def poll(self, timeout: float) -> Told | None:
        assert timeout == 0
        if self._told:
            return self._told.pop(0)
        if self._failure:
            raise OSError(self._failure, "told too much")
        return None


def listening(monitor: Monitor) -> Uevents:
    uevents = Uevents.__new__(Uevents)
    uevents._monitor = monitor
    return uevents


def test_messages_about_pci_devices_are_read_in_order() -> None:
    monitor = Monitor(
        Told("unbind", "0000:02:00.0"),
        Told("add", "0000:00:04.0:pcie010"),
        Told("bind", "0000:02:00.0", DRIVER="vfio-pci"),
    )
    expected = [Uevent("unbind", NIC, None), Uevent("bind", NIC, "vfio-pci")]
    assert listening(monitor).read() == expected


def test_lost_messages_are_told() -> None:
    with pytest.raises(UeventsLost):
        listening(Monitor(Told("add", "0000:02:00.0"), failure=105)).read()


def test_another_failure_is_not_hidden() -> None:
    with pytest.raises(OSError, match="told too much"):
        listening(Monitor(failure=5)).read()


def test_a_live_monitor_waits_for_messages_and_can_be_closed() -> None:
    pytest.importorskip("pyudev", reason="pyudev is not installed for this Python")
    uevents = Uevents()
    assert uevents.read() == []
    assert select.select([uevents], [], [], 0)[0] == []
    uevents.close()


RUNS_NOTHING = """
import sys
def refuse(event, arguments):
    if event in ("subprocess.Popen", "os.posix_spawn", "os.exec", "os.fork", "os.system"):
        raise RuntimeError(f"{event}: {arguments}")
sys.addaudithook(refuse)
sys.path.insert(0, sys.argv[1])
before = "ctypes.util" in sys.argv
if before:
    import ctypes.util
    usual = ctypes.util.find_library
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch import udev
udev.Uevents().read()
udev.described({})
assert not before or ctypes.util.find_library is usual
assert before or not {"ctypes.util", "lzma", "bz2"} & sys.modules.keys()
"""


@pytest.mark.parametrize("imported", ["", "ctypes.util"])
def test_no_command_is_run_to_find_the_library_and_nothing_else_comes_along(imported: str) -> None:
    pytest.importorskip("pyudev", reason="pyudev is not installed for this Python")
    root = __file__.partition("/ansible_collections/")[0]
    child = [sys.executable, "-c", RUNS_NOTHING, root, imported]
    done = subprocess.run(child, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_device_that_udev_does_not_know_keeps_its_facts(tmp_path: Path) -> None:
    pytest.importorskip("pyudev", reason="pyudev is not installed for this Python")
    host = FakeHost(tmp_path)
    host.add("ffff:fe:1f.7")
    devices = host.sysfs.devices()
    assert udev.described(devices)[PciAddress.parse("ffff:fe:1f.7")].properties == {}


def test_properties_and_model_come_from_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = FakeHost(tmp_path)
    host.add("0000:02:00.0")
    properties = {
        "ID_VENDOR_FROM_DATABASE": "Intel Corporation",
        "ID_MODEL_FROM_DATABASE": "82574L Gigabit Network Connection",
        "VFIO_POWER_LABEL": "spare",
    }

    class Devices:
        @staticmethod
        def from_name(context: object, subsystem: str, name: str) -> Told:
            if name != "0000:02:00.0":
                raise Library.DeviceNotFoundError(name)
            return Told("", name, **properties)

    class Library:
        Context = object
        DeviceNotFoundError = LookupError

    Library.Devices = Devices  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyudev", Library)
    facts = udev.described(host.sysfs.devices())[NIC]
    assert facts.properties == properties
    assert facts.model == "Intel Corporation 82574L Gigabit Network Connection"


def test_without_pyudev_the_caller_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyudev", None)
    with pytest.raises(ImportError):
        udev.described({})
    with pytest.raises(ImportError):
        Uevents()


def test_models_are_known_without_pyudev(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    host.add("0000:02:00.0")
    vendor, model = "ID_VENDOR_FROM_DATABASE=Intel Corporation", "ID_MODEL_FROM_DATABASE=82574L"
    (tmp_path / "+pci:0000:02:00.0").write_text(f"I:12345\nE:{vendor}\nE:{model}\n")
    assert udev.named(host.sysfs.devices(), str(tmp_path))[NIC].model == "Intel Corporation 82574L"


def test_a_device_that_udev_does_not_know_has_no_model(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    host.add("0000:02:00.0")
    assert udev.named(host.sysfs.devices(), str(tmp_path))[NIC].model == ""
