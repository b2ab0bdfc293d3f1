# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look at a host shows, with and without the helper."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import InputError

from ..hold.helper import quirk
from .conftest import Place

NIC, DISK = "0000:02:00.0", "0000:03:00.0"


def test_a_host_without_the_helper_shows_its_devices(place):
    place.host.add(NIC)
    seen = place.low_power_info()
    assert seen["helper"]["installed"] is False
    assert [it["address"] for it in seen["devices"]] == [NIC]
    assert seen["devices"][0]["held"] is False
    assert not seen["drifted"]


def test_looking_asks_nothing_of_the_kernel(place):
    place.host.add(NIC)
    place.start_helper()
    place.low_power({"address": NIC, "mode": "entry"})
    calls = len(place.host.calls)
    seen = place.low_power_info()
    assert len(place.host.calls) == calls
    assert seen["devices"][0]["engaged"] == "entry"
    assert seen["devices"][0]["power_state"] == "D3cold"


def test_only_what_is_not_as_declared_is_shown_when_asked_to(place):
    place.host.add(NIC)
    disk = place.host.add(DISK)
    place.start_helper()
    place.low_power(
        {"address": NIC, "mode": "entry"}, {"address": DISK, "mode": "none", "expect": "any"}
    )
    assert place.low_power_info(drift_only=True)["devices"] == []
    place.host.unbind(disk.address)
    assert [it["address"] for it in place.low_power_info(drift_only=True)["devices"]] == [DISK]


def test_selectors_choose_the_devices(place):
    place.host.add(NIC)
    place.host.add(DISK)
    seen = place.low_power_info({"address": DISK})
    assert [it["address"] for it in seen["devices"]] == [DISK]


def test_a_wrong_selector_is_refused_with_its_place(place):
    with pytest.raises(InputError, match=r"devices\[0\]\.address"):
        place.low_power_info({"address": 2460.0})


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_helper_that_gets_no_time_to_answer_is_refused(place, timeout):
    with pytest.raises(InputError, match=r"timeout: .* is not a number of seconds from 1 to 86400"):
        place.low_power_info(timeout=timeout)


def test_what_a_device_does_not_take_is_told_with_reason_and_source(place):
    place.know_bad(quirk("0000:02:00.0", "no-d3cold"))
    place.host.add("0000:02:00.0")
    place.host.add("0000:03:00.0")
    first, second = place.low_power_info()["devices"]
    row = {"kind": "no-d3cold", "reason": "its firmware forgets", "source": "ticket 12"}
    assert (first["quirks"], second["quirks"]) == ([row], [])


def test_why_a_device_is_awake_and_not_deeper_is_told(place):
    port = place.host.add_port("0000:00:1c.0", sleeps=True)
    place.host.add(NIC, port=port, depth="D3hot")
    place.host.add("0000:02:00.1", port=port, depth="D3hot", driver=None)
    (device,) = place.low_power_info()["devices"]
    assert device["why"]["best"] == "D3cold"
    assert [it["code"] for it in device["why"]["awake"]] == ["disable-idle-d3"]
    assert [it["code"] for it in device["why"]["not_deeper"]] == ["sibling-awake"]
    assert [it["address"] for it in device["why"]["ports"]] == ["0000:00:1c.0"]
    assert [it["address"] for it in device["why"]["siblings"]] == ["0000:02:00.1"]


def test_a_device_that_is_not_there_is_not_explained(place):
    (device,) = place.low_power_info({"address": NIC})["devices"]
    assert device["why"] is None


@pytest.fixture
def sleepy(tmp_path):
    """A host whose unopened devices sleep, with a running helper."""
    made = Place(tmp_path, disable_idle_d3=False)
    made.start_helper()
    yield made
    made.stop_helper()


def test_a_task_and_a_look_tell_the_same_drift(sleepy):
    settings = sleepy.folder / "root/etc/tlp.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text("RUNTIME_PM_ON_AC=on\n")
    nic = sleepy.host.add(NIC)
    sleepy.host.write_d3cold_allowed(nic.address, allowed=False)
    declared = sleepy.low_power({"address": NIC, "mode": "none", "expect": "asleep"}).result
    seen = sleepy.low_power_info()
    assert [it["code"] for it in seen["drift"]] == ["d3cold-blocked", "rival-policy"]
    assert declared["drift"] == seen["drift"]
    assert [it["file"] for it in seen["host"]["rivals"]] == ["/etc/tlp.conf"]
