# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One picture of a host: what is declared, held and reached, with and without helper and root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.document import (
    device_document,
    host_document,
    iso,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.look import look
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.manager import Standing
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.view import Opener
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import (
    Match,
    Rule,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import Power
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.history import (
    History,
    Incident,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Expect, Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    Lease,
    Reentries,
    Running,
    Wakes,
)

from .scene import NOW, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def entry_rule(address: str, name: str = "nics") -> Rule:
    return Rule(name, PciAddress.parse(address), Mode.ENTRY, expect=Expect.ASLEEP)


def codes(view: Any) -> list[str]:
    return [drift.code for drift in view.drift]


def test_a_device_as_declared_has_no_drift(scene: Scene) -> None:
    nic = scene.add("0000:02:00.0", "Intel 82574L")
    scene.declare(entry_rule("0000:02:00.0"))
    scene.hold(nic, engaged=Mode.ENTRY, state="entry", entered=NOW - 60)
    scene.fall_asleep(nic)
    with scene.serve():
        view = scene.look()
    device = view.device(nic.address)
    assert device is not None
    assert codes(device) == []
    assert device.held
    assert device.power is not None
    assert device.power.power_state == "D3cold"
    assert not view.drifted
    assert view.helper.state == "running"
    assert view.summary()._asdict() == {
        "devices": 1,
        "declared": 1,
        "held": 1,
        "asleep": 1,
        "awake": 0,
        "unknown": 0,
        "drift": 0,
        "excused": 0,
    }


def test_every_vfio_device_is_in_the_picture_and_no_other_one(scene: Scene) -> None:
    bound = scene.add("0000:02:00.0")
    scene.add("0000:03:00.0", driver="e1000e")
    declared = scene.add("0000:04:00.0", driver="nvme")
    scene.declare(entry_rule("0000:04:00.0"), entry_rule("0000:05:00.0", "gone"))
    view = scene.look()
    addresses = [str(device.address) for device in view.devices]
    assert addresses == [str(bound.address), str(declared.address), "0000:05:00.0"]
    assert codes(view.devices[1]) == ["not-bound"]
    assert codes(view.devices[2]) == ["device-missing"]


def test_without_a_helper_the_rest_is_seen(scene: Scene) -> None:
    nic = scene.add("0000:02:00.0")
    scene.declare(entry_rule("0000:02:00.0"))
    view = scene.look()
    assert view.helper.state == "absent"
    assert "helper-down" in codes(view)
    device = scene.view(nic)
    assert device.rule == entry_rule("0000:02:00.0")
    assert device.power is not None
    assert device.power.power_state == "D0"
    assert device_document(device)["held"] is False


def test_a_helper_that_does_not_answer_is_down(scene: Scene) -> None:
    nic = scene.add("0000:02:00.0")
    scene.install()
    view = scene.look()
    assert view.helper.state == "down"
    assert "helper-down" in codes(view)
    assert host_document(view)["devices"][0]["held"] is None
    assert scene.view(nic).hold is None


@pytest.mark.parametrize(("stored", "ok"), [(5, True), (4, False), (None, None)])
def test_what_is_kept_for_the_helper_is_compared_with_what_should_be(
    scene: Scene, stored: Optional[int], ok: Optional[bool]
) -> None:
    scene.hold(scene.add("0000:02:00.0"))
    scene.status["kept"], scene.standing = 5, Standing("active", stored)
    with scene.serve():
        view = scene.look()
    assert host_document(view)["helper"]["fdstore_ok"] is ok
    assert ("not-kept" in codes(view)) is (ok is False)


def test_a_helper_that_takes_a_device_just_now_is_not_said_to_lack_descriptors(
    scene: Scene,
) -> None:
    scene.hold(scene.add("0000:02:00.0"), running=Running("open", NOW, 0.1))
    scene.status["kept"], scene.standing = 5, Standing("active", 0)
    with scene.serve():
        view = scene.look()
    assert view.helper.fdstore_ok is None
    assert "not-kept" not in codes(view)


def test_what_moved_between_two_looks_is_not_said_to_be_lacking(scene: Scene) -> None:
    scene.hold(scene.add("0000:02:00.0"))
    scene.status["kept"] = 5

    around, asked = scene.surroundings(), []

    def let_go_meanwhile() -> Standing:
        asked.append("once more")
        if len(asked) > 1:
            scene.status["kept"] = 0
        return Standing("active", 0)

    around.manager = let_go_meanwhile
    with scene.serve():
        view = around.look()
    assert len(asked) == 2
    assert view.helper.fdstore_ok is None


def test_what_was_kept_meanwhile_is_not_said_to_be_lacking(scene: Scene) -> None:
    scene.hold(scene.add("0000:02:00.0"))
    scene.status["kept"] = 5
    around, told = scene.surroundings(), [Standing("active", 0), Standing("active", 5)]
    around.manager = lambda: told.pop(0)
    with scene.serve():
        assert around.look().helper.fdstore_ok is True


@pytest.mark.parametrize("word", ["inactive", "failed"])
def test_a_helper_that_is_stopped_is_not_started_by_a_look(scene: Scene, word: str) -> None:
    nic = scene.add("0000:02:00.0")
    scene.hold(nic)
    scene.standing = Standing(word)
    with scene.serve():  # its socket listens all the same
        view = scene.look()
    assert view.helper.state == "stopped"
    assert view.helper.trouble.endswith("systemctl start vfio-powerd.service")
    document = host_document(view)
    assert (document["helper"]["installed"], document["helper"]["running"]) == (True, False)
    assert document["devices"][0]["held"] is None
    assert scene.asked_at_all == 0
    (drift,) = view.drift
    assert (drift.code, drift.message) == ("helper-down", "the helper is stopped")


def test_without_a_helper_the_service_manager_is_not_asked(scene: Scene) -> None:
    def asked() -> Standing:
        raise AssertionError("it was asked")

    view = look(scene.client, scene.host.sysfs, scene.store, manager=asked)
    assert view.helper.fdstore_ok is None


def test_a_helper_of_another_revision_is_not_asked_about_devices(scene: Scene) -> None:
    nic = scene.add("0000:02:00.0")
    scene.declare(entry_rule("0000:02:00.0"))
    scene.hold(nic, engaged=Mode.ENTRY)
    scene.status["api_revision"] = 99
    with scene.serve():
        view = scene.look()
    assert "api-mismatch" in codes(view)
    assert "mode-mismatch" not in codes(view.devices[0])
    assert view.devices[0].hold is None


def test_without_root_only_sysfs_is_seen(scene: Scene) -> None:
    nic = scene.add("0000:02:00.0")
    scene.declare(entry_rule("0000:02:00.0"))
    scene.use(nic, 812, "qemu")
    view = scene.look(root=False)
    assert view.limited
    (device,) = view.devices
    assert device.rule is None
    assert device.opened_by == ()
    assert device.power is not None
    assert view.drifted is None
    assert host_document(view)["drifted"] is None


def test_drift_that_is_seen_without_root_is_drift(scene: Scene) -> None:
    nic = scene.add("0000:02:00.0")
    with scene.host.changed:
        nic.function.broken = True
        nic.function.on_change()
    assert scene.look(root=False).drifted is True


def test_who_has_a_device_open_is_named_and_excused(scene: Scene) -> None:
    nic = scene.add("0000:02:00.0")
    other = scene.add("0000:03:00.0")
    scene.declare(entry_rule("0000:02:00.0"))
    scene.use(nic, 812, "qemu-system-x86")
    with scene.serve():
        view = scene.view(nic)
        assert scene.view(other).opened_by == ()
    assert view.opened_by == (Opener(812, "qemu-system-x86"),)
    assert codes(view) == ["busy"]
    assert "qemu-system-x86 (pid 812)" in view.drift[0].message
    assert not view.drifted


def test_the_helper_is_not_counted_among_those_who_have_it_open(scene: Scene) -> None:
    nic = scene.add("0000:02:00.0")
    scene.status["pid"] = 812
    scene.use(nic, 812, "python3")
    with scene.serve():
        assert scene.view(nic).opened_by == ()


def test_what_is_held_and_not_declared_is_drift(scene: Scene) -> None:
    nic = scene.add("0000:02:00.0")
    scene.hold(nic)
    with scene.serve():
        assert codes(scene.view(nic)) == ["undeclared-hold"]


def test_group_mates_on_host_drivers_are_named(scene: Scene) -> None:
    nic = scene.add("0000:02:00.0")
    scene.add("0000:02:00.1", driver="e1000e", group=nic.group)
    scene.declare(entry_rule("0000:02:00.0"))
    with scene.serve():
        view = scene.view(nic)
    assert codes(view) == ["group-not-viable"]
    assert "0000:02:00.1" in view.drift[0].message
    assert "e1000e" in view.drift[0].message


def test_what_is_awake_below_the_same_port_is_named_where_a_device_does_not_sleep(
    scene: Scene,
) -> None:
    port = scene.host.add_port("0000:00:1c.0")
    nic = scene.add("0000:02:00.0", port=port)
    scene.add("0000:02:00.1", port=port, driver=None)
    scene.add("0000:02:00.2", port=port, driver="snd_hda_intel")
    scene.fall_asleep(scene.add("0000:02:00.3", port=port))
    scene.add("0000:03:00.0", driver="e1000e")
    scene.declare(entry_rule("0000:02:00.0"))
    scene.hold(nic, engaged=Mode.ENTRY, state="entry", entered=NOW - 60)
    with scene.serve():
        (drift,) = scene.view(nic).drift
    assert drift.code == "not-suspended"
    assert drift.message.endswith(
        "(0000:02:00.1 below the same port is awake too, on no driver, its power/control reads on;"
        " 0000:02:00.2 below the same port is awake too, on snd_hda_intel, its power/control reads"
        " on)"
    )
    assert drift.hint.endswith(": vfio-powerctl why 0000:02:00.0"), "the others are not the cause"


def test_that_the_kernel_counts_a_user_is_told_where_nothing_else_is_known(scene: Scene) -> None:
    nic = scene.add("0000:02:00.0")
    scene.declare(entry_rule("0000:02:00.0"))
    scene.hold(nic, engaged=Mode.ENTRY, state="entry", entered=NOW - 60)
    usage = scene.folder / f"host/sys/bus/pci/devices/{nic.address}/power/runtime_usage"
    usage.write_text("1\n")
    with scene.serve():
        (drift,) = scene.view(nic).drift
    assert "(the kernel counts a user of 0000:02:00.0" in drift.message
    assert drift.hint.endswith(": vfio-powerctl why 0000:02:00.0")


def test_drivers_that_vfio_accepts_in_a_group_are_not_in_the_way(scene: Scene) -> None:
    nic = scene.add("0000:02:00.0")
    scene.add("0000:02:00.1", driver="pci-stub", group=nic.group)
    scene.add("0000:02:00.2", driver="pcieport", group=nic.group)
    scene.declare(entry_rule("0000:02:00.0"))
    with scene.serve():
        assert "group-not-viable" not in codes(scene.view(nic))


def test_a_damaged_declaration_is_drift_and_the_rest_is_seen(scene: Scene) -> None:
    scene.add("0000:02:00.0")
    scene.declare(entry_rule("0000:02:00.0"))
    (scene.folder / "declared" / "declared.json").write_text("{")
    with scene.serve():
        view = scene.look()
    assert "state-damaged" in codes(view)
    assert len(view.devices) == 1


def test_damage_that_only_the_helper_knows_of_is_told_beside_ones_own(scene: Scene) -> None:
    scene.declare(entry_rule("0000:02:00.0"))
    scene.damaged = "/run/vfio-power/leases.json is damaged."
    with scene.serve():
        (only,) = (it for it in scene.look().drift if it.code == "state-damaged")
        assert only.message == "/run/vfio-power/leases.json is damaged"
        (scene.folder / "declared" / "declared.json").write_text("{")
        (both,) = (it for it in scene.look().drift if it.code == "state-damaged")
        assert "declared.json is not JSON" in both.message
        assert "leases.json is damaged" in both.message
        scene.damaged = scene.store.load().damaged  # the helper saw the same
        (once,) = (it for it in scene.look().drift if it.code == "state-damaged")
        assert once.message.count("declared.json is not JSON") == 1


def test_a_rule_by_property_keeps_its_devices_where_udev_cannot_be_asked(scene: Scene) -> None:
    nic = scene.add("0000:02:00.0")
    by_label = Match(property={"VFIO_POWER_LABEL": "fast"})
    scene.declare(entry_rule("0000:02:00.0", "labelled"))
    stored = scene.store.load()
    rule = Rule("labelled", by_label, Mode.ENTRY, expect=Expect.ASLEEP, count=1)
    scene.store.save(stored.declaration._replace(rules=(rule,)), stored.known)

    def unasked(_devices: object) -> Any:
        raise ImportError("pyudev")

    around = scene.surroundings()
    around.describe = unasked
    view = around.look()
    device = view.device(nic.address)
    assert device is not None
    assert device.rule == rule
    assert "count-mismatch" not in codes(view)


SELECTED = {
    "an address": (PciAddress.parse("0000:02:00.0"), ["0000:02:00.0"]),
    "an address on a host driver": (PciAddress.parse("0000:03:00.0"), ["0000:03:00.0"]),
    "an address that is not there": (PciAddress.parse("0000:09:00.0"), ["0000:09:00.0"]),
    "a match sees VFIO devices": (Match(vendor=("8086",)), ["0000:02:00.0"]),
    "a match that names a driver": (Match(driver=("e1000e",)), ["0000:03:00.0"]),
    "a match that fits nothing": (Match(vendor=("ffff",)), []),
}


@pytest.mark.parametrize(("selector", "found"), SELECTED.values(), ids=SELECTED)
def test_selectors_choose_the_devices(scene: Scene, selector: Any, found: list[str]) -> None:
    scene.add("0000:02:00.0")
    scene.add("0000:03:00.0", driver="e1000e")
    view = look(scene.client, scene.host.sysfs, scene.store, selectors=(selector,), root=True)
    assert [str(device.address) for device in view.devices] == found


def test_looking_makes_no_call_on_a_device_and_wakes_nothing(scene: Scene) -> None:
    nic = scene.add("0000:02:00.0")
    scene.declare(entry_rule("0000:02:00.0"))
    scene.fall_asleep(nic)
    before = nic.function.resumes
    with scene.serve():
        for _turn in range(3):
            scene.look()
    assert nic.function.resumes == before
    assert scene.host.calls == []


def test_looking_writes_no_file(scene: Scene) -> None:
    scene.add("0000:02:00.0")
    scene.declare(entry_rule("0000:02:00.0"))
    folder = scene.folder / "declared"
    before = {path: os.stat(path).st_mtime_ns for path in folder.iterdir()}
    scene.look()
    assert {path: os.stat(path).st_mtime_ns for path in folder.iterdir()} == before


def test_a_device_is_written_down_with_all_that_is_known(scene: Scene) -> None:
    nic = scene.add("0000:02:00.0", "Intel 82574L")
    scene.declare(
        Rule("nics", nic.address, Mode.ENTRY_WITH_WAKEUP, expect=Expect.ASLEEP),
    )
    scene.hold(
        nic,
        state="waiting",
        wakes=Wakes(3, 1, NOW),
        waiting_until=NOW + 5,
        reentries=Reentries("open", "breaker", 2, 9, 47.512),
        leases=(Lease(nic.address, "guest/web", NOW),),
        history=History(NOW - 60, 2, 1, 3, (Incident(NOW, "foreign", 2),), 100.0, 50.0),
    )
    with scene.serve():
        document = device_document(scene.view(nic))
    times = ("suspended_seconds", "active_seconds", "active_share")
    assert all(isinstance(document.pop(name), float) for name in times)
    drift, why, history = (document.pop(name) for name in ("drift", "why", "history"))
    assert history.pop("suspended_seconds") >= 100.0
    assert history.pop("active_seconds") >= 50.0
    assert history == {
        "since": "2023-11-14T22:12:20Z",
        "own": 2,
        "foreign": 1,
        "incidents": 3,
        "last": [{"at": "2023-11-14T22:13:20Z", "kind": "foreign", "devices": 2}],
    }
    assert [each["code"] for each in drift] == ["leased"]
    assert [each["code"] for each in why["awake"]] == ["leased"]
    assert document == {
        "address": "0000:02:00.0",
        "model": "Intel 82574L",
        "vendor": "8086",
        "device": "10d3",
        "class": "020000",
        "driver": "vfio-pci",
        "iommu_group": nic.group,
        "unit": ["0000:02:00.0"],
        "power_set": ["0000:02:00.0"],
        "declared": {
            "rule": "nics",
            "mode": "entry-with-wakeup",
            "reserve": False,
            "expect": "asleep",
            "runtime_pm": None,
            "d3cold": None,
        },
        "state": "waiting",
        "held": True,
        "engaged": "none",
        "power_state": "D0",
        "runtime_status": "active",
        "wakes": {"total": 3, "foreign": 1, "last": "2023-11-14T22:13:20Z"},
        "waiting_until": "2023-11-14T22:13:25Z",
        "reentries": {
            "breaker": "open",
            "put_off_by": "breaker",
            "suppressed": 2,
            "storm_wakes": 9,
            "storm_seconds": 47.5,
        },
        "opened_by": [],
        "lease": [{"holder": "guest/web", "since": "2023-11-14T22:13:20Z", "until": None}],
        "quarantined": None,
        "quirks": [],
    }


@pytest.mark.parametrize(
    ("active_ms", "suspended_ms", "share"),
    [(62_500, 11_520_000, 0.0054), (1000, 0, 1.0), (0, 1000, 0.0), (0, 0, None)],
)
def test_the_share_of_the_time_awake_is_null_where_no_time_was_counted(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    active_ms: int,
    suspended_ms: int,
    share: Optional[float],
) -> None:
    power = Power(active_ms=active_ms, suspended_ms=suspended_ms)
    monkeypatch.setattr(scene.host.sysfs, "power", lambda _address: power)
    nic = scene.add("0000:02:00.0")
    assert device_document(scene.view(nic))["active_share"] == share


def test_a_device_that_is_gone_is_written_down_with_nulls(scene: Scene) -> None:
    scene.declare(entry_rule("0000:05:00.0", "gone"))
    (document,) = host_document(scene.look())["devices"]
    assert document["power_state"] is None
    assert document["active_share"] is None
    assert document["reentries"] is None
    assert document["vendor"] is None
    assert document["declared"]["rule"] == "gone"


def test_times_are_written_in_utc() -> None:
    assert iso(0.0) == "1970-01-01T00:00:00Z"
    assert iso(None) is None
