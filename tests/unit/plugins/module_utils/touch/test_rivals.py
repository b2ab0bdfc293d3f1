# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lines of a host's files decide about a device, and which files there are to look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.rivals import (
    idle_policy,
    rivals_of,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.udev_rules import Card
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.rivals import load
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.rival import Rival

from ..think.cards import GPU, card

CARD = card("65:00.0", GPU)
UDEV = 'SUBSYSTEM=="pci", ATTR{power/control}="on"\n'


class Host:
    """A host's files below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, path: str, text: str) -> None:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def enable(self, unit: str) -> None:
        wants = self.folder / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        (wants / unit).symlink_to("/somewhere")

    def rivals(self, facts=CARD) -> list[Rival]:
        return list(rivals_of(Card(facts, {}), load(str(self.folder))))

    def told(self, facts=CARD) -> list[tuple[str, int, str]]:
        return [(it.file, it.line, it.value) for it in self.rivals(facts)]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_host_without_any_has_none(host: Host) -> None:
    assert load(str(host.folder)) == ()


class TestUdev:
    def test_a_rule_is_told_with_file_and_line(self, host: Host) -> None:
        host.write("usr/lib/udev/rules.d/80-gpu.rules", f"# theirs\n{UDEV}")
        (rival,) = host.rivals()
        assert (
            str(rival) == "/usr/lib/udev/rules.d/80-gpu.rules:2 (udev) writes on to power/control"
        )

    def test_a_file_hides_one_of_the_same_name(self, host: Host) -> None:
        host.write("usr/lib/udev/rules.d/80-gpu.rules", UDEV)
        host.write("etc/udev/rules.d/80-gpu.rules", "# nothing\n")
        assert host.rivals() == []

    def test_one_that_is_masked_counts_for_nothing(self, host: Host) -> None:
        host.write("usr/lib/udev/rules.d/80-gpu.rules", UDEV)
        (host.folder / "etc/udev/rules.d").mkdir(parents=True)
        (host.folder / "etc/udev/rules.d/80-gpu.rules").symlink_to("/dev/null")
        assert host.rivals() == []

    def test_our_own_rules_are_no_rival(self, host: Host) -> None:
        host.write("etc/udev/rules.d/62-vfio-power.rules", UDEV)
        assert host.rivals() == []

    def test_the_stock_rule_for_what_the_hardware_database_names_is_none(self, host: Host) -> None:
        text = 'ENV{ID_AUTOSUSPEND}=="1", TEST=="power/control", ATTR{power/control}="auto"\n'
        host.write("usr/lib/udev/rules.d/60-autosuspend.rules", text)
        assert host.rivals() == []


class TestTlp:
    def test_the_last_setting_counts(self, host: Host) -> None:
        host.write("etc/tlp.conf", "#RUNTIME_PM_ON_AC=on\nRUNTIME_PM_ON_AC=auto\n")
        host.write("etc/tlp.d/10.conf", 'RUNTIME_PM_ON_AC="on"\nRUNTIME_PM_ON_BAT=auto\n')
        assert host.told() == [("/etc/tlp.conf", 2, "auto"), ("/etc/tlp.d/10.conf", 2, "auto")]

    def test_what_a_package_brought_counts_where_the_service_is_enabled(self, host: Host) -> None:
        host.write("usr/share/tlp/defaults.conf", 'RUNTIME_PM_ON_AC="on"\n')
        assert host.told() == []
        host.enable("tlp.service")
        (rival,) = host.rivals()
        assert (rival.place, rival.value) == ("/usr/share/tlp/defaults.conf:1 (TLP)", "on")

    @pytest.mark.parametrize(
        ("setting", "told"),
        [
            ("RUNTIME_PM_DENYLIST=65:00.0", []),
            ("RUNTIME_PM_DENYLIST='66:00.0 65:00.0' # two", []),
            ("RUNTIME_PM_DENYLIST=66:00.0", [("/etc/tlp.conf", 1, "on")]),
            ('RUNTIME_PM_DRIVER_DENYLIST="nouveau vfio-pci"', []),
            ('RUNTIME_PM_ENABLE="66:00.0 65:00.0"', [("/etc/tlp.conf", 2, "auto")]),
            ("RUNTIME_PM_DISABLE=0000:65:00.0", [("/etc/tlp.conf", 2, "on")]),
        ],
    )
    def test_what_names_the_device_goes_before(
        self, host: Host, setting: str, told: list[tuple[str, int, str]]
    ) -> None:
        host.write("etc/tlp.conf", f"RUNTIME_PM_ON_AC=on\n{setting}\n")
        assert host.told() == told


class TestPowertop:
    UNIT = "[Service]\nExecStart=/usr/sbin/powertop --auto-tune\n"

    def test_a_unit_of_a_package_counts_where_it_is_enabled(self, host: Host) -> None:
        host.write("usr/lib/systemd/system/powertop.service", self.UNIT)
        assert host.told() == []
        host.enable("powertop.service")
        assert host.told() == [("/usr/lib/systemd/system/powertop.service", 2, "auto")]

    def test_one_that_somebody_wrote_is_told_in_any_case(self, host: Host) -> None:
        host.write("etc/systemd/system/powertop.service", self.UNIT)
        (rival,) = host.rivals()
        assert not rival.enabled
        assert "whose service is not enabled" in str(rival)


class TestTuned:
    def test_the_active_profile_and_what_it_includes_are_read(self, host: Host) -> None:
        path = "/sys/bus/pci/devices"
        host.write("etc/tuned/active_profile", "mine\n")
        host.write("etc/tuned/profiles/mine/tuned.conf", "[main]\ninclude=base\n")
        host.write(
            "usr/lib/tuned/base/tuned.conf",
            f"[sysfs]\n{path}/0000:65:*/power/control=on\n{path}/0000:66:00.0/power/control=on\n"
            "/sys/bus/usb/devices/*/power/control=on\n",
        )
        host.write("usr/lib/tuned/base/script.sh", f"echo 0 > {path}/$card/d3cold_allowed\n")
        host.write("usr/lib/tuned/other/tuned.conf", f"[sysfs]\n{path}/*/power/control=on\n")
        host.enable("tuned.service")
        assert host.told() == [
            ("/usr/lib/tuned/base/script.sh", 1, "0"),
            ("/usr/lib/tuned/base/tuned.conf", 2, "on"),
        ]

    def test_profiles_that_include_each_other_come_to_an_end(self, host: Host) -> None:
        host.write("etc/tuned/active_profile", "one")
        for name, other in (("one", "two"), ("two", "one")):
            text = f"[main]\ninclude={other}\n[sysfs]\n/sys/bus/pci/devices/*/power/control=auto\n"
            host.write(f"etc/tuned/{name}/tuned.conf", text)
        assert [file for file, _line, _value in host.told()] == [
            "/etc/tuned/one/tuned.conf",
            "/etc/tuned/two/tuned.conf",
        ]


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("etc/modprobe.d/vfio.conf", "options vfio-pci ids=10de:2204 disable_idle_d3=1\n", "1"),
        ("usr/lib/modprobe.d/vfio.conf", "options vfio_pci disable_idle_d3\n", "1"),
        ("proc/cmdline", "quiet vfio-pci.disable_idle_d3=1 vfio_pci.ids=10de:2204\n", "1"),
    ],
)
def test_where_unopened_devices_are_kept_awake_is_found(
    host: Host, path: str, text: str, value: str
) -> None:
    host.write(path, text)
    (found,) = idle_policy(load(str(host.folder)))
    assert (found.file, found.line, found.value) == (f"/{path}", 1, value)
    assert host.rivals() == [], "it decides about all devices, and holding one goes before it"


def test_a_file_that_cannot_be_read_is_as_good_as_none(host: Host) -> None:
    (host.folder / "etc/udev/rules.d/80-gpu.rules").mkdir(parents=True)
    host.write("etc/udev/rules.d/90-gpu.rules", UDEV)
    assert host.told() == [("/etc/udev/rules.d/90-gpu.rules", 1, "on")]
