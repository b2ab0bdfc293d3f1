# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab is what it says it is: other tests take their ground from here."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import base, emulator, machine, packages, topology
from tests.lab.host import PCI_ADDRESS, Lab
from tests.lab.machine import until
from tests.lab.progress import LabError, Progress
from tests.lab.registry import labs_folder, prune

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DEPTH = {
    "nic": "D3cold",
    "disk": "D3cold",
    "spare": "D3cold",
    "dual0": "D3cold",
    "dual1": "D3cold",
    "rng": "D3hot",
    "warm": "D3hot",
}

_TWO_ZIP_FILES = """
import sys, zipfile
def run(name, text):
    path = f"/tmp/lab-{name}.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("told.py", f"def tell(): return {text!r}")
    sys.path.insert(0, path)
    sys.modules.pop("told", None)
    import told
    return told.tell
print(run("one", "first")(), run("two", "second")(), run("three", "first")())
print(run("three", "first").__code__.co_filename)
"""


def power_state(lab: Lab, name: str) -> str:
    return lab.ssh(f"cat /sys/bus/pci/devices/{lab.devices[name]}/power_state").stdout.strip()


def driver(lab: Lab, name: str) -> str:
    link = f"/sys/bus/pci/devices/{lab.devices[name]}/driver"
    return Path(lab.ssh(f"readlink {link}", check=False).stdout.strip()).name


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A host that lets unopened devices sleep, as the kernel does by default."""
    with Lab.start(idle="kernel-default") as started:
        yield started


class TestABootedLab:
    def test_has_its_cards_on_vfio_pci_and_its_own_devices_not(self, lab: Lab) -> None:
        assert {name: driver(lab, name) for name in DEPTH} == dict.fromkeys(DEPTH, "vfio-pci")
        assert driver(lab, "edu") == ""
        assert driver(lab, "vga") == "virtio-pci"

    def test_lets_unopened_cards_sleep_as_deep_as_their_ports_allow(self, lab: Lab) -> None:
        def depth() -> dict[str, str]:
            return {name: power_state(lab, name) for name in DEPTH}

        until(lambda: depth() == DEPTH, 20)
        assert depth() == DEPTH

    def test_has_two_functions_that_share_a_group_and_a_sleeping_port(self, lab: Lab) -> None:
        first, second = (f"/sys/bus/pci/devices/{lab.devices[n]}" for n in ("dual0", "dual1"))
        groups = lab.ssh(f"readlink -f {first}/iommu_group {second}/iommu_group").stdout.split()
        assert groups[0] == groups[1]
        assert lab.ssh(f"cat $(readlink -f {first})/../power_state").stdout.strip() == "D3cold"

    def test_wakes_a_card_whose_config_space_is_read(self, lab: Lab) -> None:
        def active() -> int:
            folder = f"/sys/bus/pci/devices/{lab.devices['nic']}/power"
            return int(lab.ssh(f"cat {folder}/runtime_active_time").stdout)

        before = active()
        assert active() == before, "looking at sysfs must not wake it"
        lab.ssh(f"lspci -s {lab.devices['nic']}")
        lab.wait_for(lambda: power_state(lab, "nic") == "D3cold", 20, "the card sleeps again")
        assert active() > before

    def test_boots_from_a_vga_device_that_can_be_given_away(self, lab: Lab) -> None:
        folder = f"/sys/bus/pci/devices/{lab.devices['vga']}"
        assert lab.ssh(f"cat {folder}/boot_vga").stdout.strip() == "1"
        assert lab.ssh(f"cat {folder}/class").stdout.strip() == "0x030000"

    def test_takes_a_card_in_its_empty_port_and_gives_it_up(self, lab: Lab) -> None:
        def there() -> bool:
            lab.forget_devices()
            return "bay" in lab.devices

        lab.add_device("e1000e", id="extra")
        lab.wait_for(there, 60, "the card is there")
        lab.remove_device("extra")
        lab.wait_for(lambda: not there(), 60, "the card is gone")

    def test_is_managed_by_way_of_its_inventory(self, lab: Lab) -> None:
        host = json.loads(lab.inventory().read_text())["all"]["hosts"]["lab"]
        assert host["ansible_port"] == lab.port
        command = ["ssh", *host["ansible_ssh_args"].split(), "-p", str(lab.port)]
        done = subprocess.run([*command, "root@127.0.0.1", "true"], check=False, timeout=60)
        assert done.returncode == 0

    def test_copies_files_there_and_back(self, lab: Lab, tmp_path: Path) -> None:
        (tmp_path / "there").write_text("hello")
        lab.put(tmp_path / "there", "/root/hello")
        lab.get("/root/hello", tmp_path / "back")
        assert (tmp_path / "back").read_text() == "hello"

    def test_runs_what_is_in_a_zip_file_though_it_has_compiled_another_one(self, lab: Lab) -> None:
        """What its Python keeps of zip files must not differ from what is in them."""
        told = lab.ssh("python3 -I -", input=_TWO_ZIP_FILES).stdout
        assert told.split() == ["first", "second", "first", "/tmp/lab-three.zip/told.py"]

    @pytest.mark.soak
    def test_keeps_its_disk_over_a_reboot_another_shape_and_a_power_cut(self, lab: Lab) -> None:
        old = lab.devices["nic"]
        lab.ssh("echo kept >/root/mark && sync")
        lab.reboot()
        assert lab.ssh("cat /root/mark").stdout == "kept\n"
        assert lab.devices["nic"] == old
        lab.restart(shape="shifted")
        assert lab.ssh("cat /root/mark").stdout == "kept\n"
        assert lab.devices["newcomer"] == old
        assert driver(lab, "nic") == "vfio-pci"
        lab.power_cut()
        assert lab.ssh("cat /root/mark").stdout == "kept\n"

    def test_is_listed_and_entered_by_the_command(self, lab: Lab) -> None:
        (line,) = [it for it in command("list").splitlines() if it.startswith(lab.name)]
        assert line.endswith(f"idle kernel-default, ssh port {lab.port}")
        assert command("ssh", "--name", lab.name, "--", "hostname") == "lab\n"
        assert command("enter", "--name", lab.name, given="hostname\n") == "lab\n"


def command(*words: str, given: str = "") -> str:
    """What the command says."""
    lab = [str(HERE / "lab"), "--quiet", *words]
    return subprocess.run(lab, input=given, check=True, text=True, stdout=subprocess.PIPE).stdout


def test_by_default_unopened_cards_stay_awake() -> None:
    with Lab.start(shape="small", on_vfio=["nic"]) as awake:
        parameter = awake.ssh("cat /sys/module/vfio_pci/parameters/disable_idle_d3").stdout
        assert parameter.strip() == "Y"
        assert power_state(awake, "nic") == "D0"
        awake.wait_for(lambda: driver(awake, "disk") == "nvme", 60, "udev finds the disk's driver")
        command("stop", "--name", awake.name)
        assert awake.machine.wait(10), "ends a moment after its memory is gone"
        assert not awake.folder.exists()


class TestStartingAndEnding:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_an_interrupted_start_leaves_no_process_and_no_folder(
        self, number: signal.Signals
    ) -> None:
        folder = labs_folder() / f"interrupted-{number.name}"
        command = [str(HERE / "lab"), "--quiet", "start", "--name", folder.name]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as starting:
            pid = self._pid_of_qemu(folder)
            starting.send_signal(number)
            _out, said = starting.communicate(timeout=60)
        assert "cleaned up" in said
        assert starting.returncode == 130
        assert not folder.exists()
        assert not machine.is_lab(pid, folder)

    def test_a_killed_test_run_leaves_no_process_and_the_next_one_clears_the_folder(self) -> None:
        folder = labs_folder() / "killed"
        code = "from tests.lab.host import Lab; Lab.start(shape='small', name='killed')"
        with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as starting:
            pid = self._pid_of_qemu(folder)
            starting.kill()
        assert until(lambda: not machine.is_lab(pid, folder), 20)
        prune()
        assert not folder.exists()

    def test_two_labs_have_different_ports_and_folders(self, tmp_path: Path) -> None:
        built = base.obtain("13", Progress())
        disk = tmp_path / "disk"
        create = ["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "1M"]
        subprocess.run(create, check=True)
        shape = topology.SHAPES["small"]
        boot = machine.Boot(built.kernel, built.initrd, disk, "", 512, shape)
        machines = []
        try:
            for name in ("one", "two"):
                (tmp_path / name).mkdir()
                shutil.copy(disk, tmp_path / name / "disk")
                own = boot._replace(disk=tmp_path / name / "disk")
                machines.append(machine.Machine(tmp_path / name))
                machines[-1].start(own, "tcg", False, Progress())
            assert machines[0].port != machines[1].port
            assert all(one.alive() for one in machines)
        finally:
            for one in machines:
                one.kill()
        assert not any(one.alive() for one in machines)

    def test_a_machine_that_does_not_start_says_why(self, tmp_path: Path) -> None:
        built = base.obtain("13", Progress())
        nowhere = machine.Boot(
            built.kernel, built.initrd, tmp_path / "none", "", 512, topology.SHAPES["small"]
        )
        with pytest.raises(LabError, match=r"did not start: .*none.*No such file"):
            machine.Machine(tmp_path).start(nowhere, "tcg", False, Progress())

    def test_a_wrong_name_is_refused_with_the_right_ones(self) -> None:
        with pytest.raises(LabError, match="standard, shifted, small, many"):
            Lab.start(shape="square")
        with pytest.raises(LabError, match=r"'nics' is no card here; choose one of .*nic"):
            Lab.start(on_vfio=["nics"])
        with pytest.raises(LabError, match="shap, debian"):
            Lab.start(shap="standard", debian="13")

    def _pid_of_qemu(self, folder: Path) -> int:
        state = folder / "lab.json"
        assert until(state.exists, 300), "the start got as far as QEMU"
        return int(json.loads(state.read_text())["pid"])


class TestEmulator:
    """Where the machine's own QEMU is slow."""

    @pytest.fixture(autouse=True)
    def _old_machine(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setattr(packages, "codename", lambda: "bookworm")
        monkeypatch.setattr(emulator, "_major", lambda _command: 7)
        monkeypatch.setattr(emulator, "_found", [])

    def test_where_no_newer_one_can_be_had_its_own_is_used_and_that_is_said_once(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def refuse(*_all: object) -> None:
            raise LabError("no way to the mirror")

        monkeypatch.setattr(packages, "download", refuse)
        assert [emulator.obtain(Progress()) for _time in range(2)] == [emulator.Qemu()] * 2
        assert capsys.readouterr().err.count("slower QEMU of this machine: no way to the") == 1

    def test_a_newer_one_is_unpacked_beside_it_and_finds_what_belongs_to_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(packages, "download", lambda *_all: [])
        qemu = emulator.obtain(Progress(quiet=True))
        assert Path(qemu.command[0]).is_relative_to(tmp_path)
        places = (*qemu.command[2::2], *qemu.environment.values())
        assert len(places) == 3
        assert all(Path(place).is_relative_to(tmp_path) for place in places)


class TestShapes:
    @pytest.mark.parametrize("name", topology.SHAPES)
    def test_no_two_cards_share_a_place_and_bound_cards_exist(self, name: str) -> None:
        shape = topology.SHAPES[name]
        places = topology.places(shape)
        assert len(set(places.values())) == len(places)
        assert set(shape.on_vfio) <= set(places)

    def test_many_has_96_cards(self) -> None:
        assert len(topology.SHAPES["many"].on_vfio) == 96

    def test_a_card_has_its_power_resource_below_its_port(self) -> None:
        text = topology.ssdt(topology.SHAPES["standard"])
        assert r"Scope (\_SB.PCI0.S20)" in text
        assert r"Scope (\_SB.PCI0.S38)" not in text, "rng has none"

    def test_an_address_is_told_from_a_ports_own_services(self) -> None:
        assert PCI_ADDRESS.fullmatch("0000:01:00.0")
        assert not PCI_ADDRESS.fullmatch("0000:00:04.0:pcie010")


class TestAptSources:
    def test_both_styles_are_read(self, tmp_path: Path) -> None:
        (tmp_path / "sources.list.d").mkdir()
        (tmp_path / "sources.list").write_text(
            "# a comment\ndeb [arch=amd64] http://mirror.example/debian bookworm main contrib\n"
            "deb-src http://mirror.example/debian bookworm main\n"
        )
        (tmp_path / "sources.list.d" / "more.sources").write_text(
            "Types: deb deb-src\n# a comment\nURIs: http://mirror.example/security\n"
            "Suites: bookworm-security\nComponents: main\n\n"
            "Types: deb\nEnabled: no\nURIs: http://off.example\nSuites: sid\nComponents: main\n"
        )
        assert packages.read_sources(tmp_path) == [
            packages.Source("http://mirror.example/debian", "bookworm", ("main", "contrib")),
            packages.Source("http://mirror.example/security", "bookworm-security", ("main",)),
        ]
