# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a device that is not as declared, and what is not told."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.deadlines import (
    DEADLINES,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.drift import (
    Case,
    drifted,
    judge,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.policy import Action
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.allowance import (
    Allowance,
    HostPolicy,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import (
    Known,
    Match,
    Reentry,
    Rule,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import (
    HostFacts,
    Power,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import (
    Expect,
    Mode,
    default_expectation,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    Failure,
    HoldReport,
    Lease,
    Quarantined,
    Reentries,
    Running,
    Wakes,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.why import Reason
from ansible_collections.vfio.power.tests.unit.plugins.module_utils.think.cards import (
    GPU,
    NIC,
    at,
    card,
)

HERE = at("65:00.0")
NOW = 1000.0
ALLOW, FORBID = Allowance.ALLOW, Allowance.FORBID
LEFT_ALONE = HostPolicy()
NONE, ENTRY, WAKEUP = Mode.NONE, Mode.ENTRY, Mode.ENTRY_WITH_WAKEUP

ASLEEP = Power("D3cold", "suspended", "auto")
D3HOT = Power("D3hot", "suspended", "auto")
AWAKE = Power("D0", "active", "auto")
BESIDE = Reason("sibling-awake", at("65:00.1"), "0000:65:00.1 is awake too", "Declare it too")
POWERLESS = Power("D0", "suspended", "auto")

KEPT_AWAKE = HostFacts(vfio=True, iommu=True, disable_idle_d3=True)
DEFAULT_HOST = KEPT_AWAKE._replace(disable_idle_d3=False)

UNHELD = HoldReport(HERE, rule="gpus")
RESERVED = UNHELD._replace(state="awake", held=True)
PLAIN = RESERVED._replace(state="entry", engaged=ENTRY, entered=NOW - 60)
ARMED = RESERVED._replace(state="entry-with-wakeup", engaged=WAKEUP, wakes=Wakes())
WAITING = RESERVED._replace(state="waiting", waiting_until=NOW + 3, wakes=Wakes(1, 1, NOW))

STORM = Reentries("open", "breaker", 4, storm_wakes=11, storm_seconds=2700.0)
LEFT_AWAKE = WAITING._replace(waiting_until=NOW + 840, reentries=STORM)

HOLDS = {(NONE, False): UNHELD, (NONE, True): RESERVED, (ENTRY, False): PLAIN}
HOLDS[WAKEUP, False] = ARMED


def case(mode=ENTRY, *, reserve=False, expect=None, allowed=LEFT_ALONE, **how):
    """Return the case of a device that is as declared, but for what is said."""
    expect = Expect(expect) if expect else default_expectation(mode, reserve)
    rule = Rule("gpus", Match(vendor=("10de",)), mode, reserve, expect, policy=allowed)
    told = {
        "rule": rule,
        "known": Known(HERE, GPU, "gpus"),
        "facts": card("65:00.0", model="NVIDIA GA102"),
        "power": ASLEEP if rule.mode is not NONE else AWAKE,
        "hold": HOLDS[mode, reserve],
        "host": KEPT_AWAKE,
        "now": NOW,
    }
    return Case(HERE, **{**told, **how})


def codes(mode=ENTRY, **how):
    """Return the codes that are told of a device."""
    return [drift.code for drift in judge(case(mode, **how))]


def the_one(mode=ENTRY, **how):
    """Return the only thing that is told of a device."""
    (drift,) = judge(case(mode, **how))
    return drift


@pytest.mark.parametrize(("mode", "reserve"), HOLDS)
def test_a_device_that_is_as_declared_is_not_spoken_of(mode, reserve):
    assert codes(mode, reserve=reserve) == []


def test_a_device_that_is_neither_declared_nor_held_is_not_spoken_of():
    assert judge(Case(HERE, facts=card("65:00.0"), power=AWAKE, now=NOW)) == []
    assert judge(Case(HERE, facts=card("65:00.0", driver="nvidia"), power=AWAKE)) == []


def test_a_missing_device_is_told_with_its_identity():
    drift = the_one(facts=None, power=None, hold=UNHELD)
    assert (drift.code, drift.severity) == ("device-missing", "drift")
    assert drift.message == (
        "0000:65:00.0 (10de:2204, rule 'gpus') is declared and not on the PCI bus"
    )


def test_another_card_is_told_with_both_identities():
    drift = the_one(facts=card("65:00.0", NIC), hold=UNHELD, power=AWAKE)
    assert (drift.code, drift.severity) == ("identity-changed", "drift")
    assert str(NIC) in drift.message
    assert str(GPU) in drift.message
    assert "exclude the address" in drift.hint
    rule = case().rule._replace(selector=HERE)
    assert "state: absent" in the_one(rule=rule, facts=card("65:00.0", NIC)).hint


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"driver": "nvidia"}, "is on the driver nvidia, not on a VFIO driver"),
        ({"driver": None}, "is on no driver, not on a VFIO driver"),
        ({"driver": "pcieport", "bridge": True}, "is a bridge, which no VFIO driver takes"),
    ],
)
def test_a_device_that_is_not_on_vfio_is_told_with_its_driver(facts, words):
    drift = the_one(facts=card("65:00.0", **facts), hold=UNHELD, power=AWAKE)
    assert (drift.code, drift.severity) == ("not-bound", "drift")
    assert words in drift.message


def test_neighbours_on_host_drivers_are_named_while_the_device_is_not_held():
    neighbours = {at("65:00.1"): "snd_hda_intel"}
    drift = the_one(hold=UNHELD, power=AWAKE, group_drivers=neighbours)
    assert (drift.code, drift.severity) == ("group-not-viable", "drift")
    assert "0000:65:00.1 (snd_hda_intel)" in drift.message
    assert codes(group_drivers=neighbours) == []
    assert codes(NONE, group_drivers=neighbours) == []


def test_what_the_helper_could_not_do_is_passed_on():
    code = "unsupported"
    failure = Failure(code, "0000:65:00.0: cannot open: EIO", "Look at the slot", "open", "EIO")
    hold = UNHELD._replace(state="refused", failure=failure)
    drift = the_one(hold=hold, power=AWAKE)
    assert drift == (code, "drift", failure.message, failure.hint)
    assert codes(NONE, hold=hold) == []


@pytest.mark.parametrize("code", ["group-not-viable", "kernel-refused", "node-denied"])
def test_what_is_tried_only_once_is_asked_for_when_its_cause_is_gone(code):
    hold = UNHELD._replace(failure=Failure(code, "cannot open: EIO", "Look at the slot"))
    hint = the_one(hold=hold, power=AWAKE).hint
    assert hint == "Look at the slot; then: vfio-powerctl reclaim 0000:65:00.0"


def test_a_failure_without_a_next_step_gets_one():
    hold = UNHELD._replace(failure=Failure("kernel-refused", "no"))
    assert the_one(hold=hold, power=AWAKE).hint


def test_a_failure_of_a_later_helper_is_drift():
    hold = UNHELD._replace(failure=Failure("gremlins", "seen in the slot"))
    assert the_one(hold=hold, power=AWAKE).severity == "drift"


def test_a_lease_excuses_all_but_another_card():
    leases = (Lease(HERE, "libvirt:vm1", NOW - 60, NOW + 90), Lease(HERE, "backup", NOW))
    hold = UNHELD._replace(leases=leases)
    drift = the_one(hold=hold, power=AWAKE)
    assert (drift.code, drift.severity) == ("leased", "excused")
    assert "is lent to libvirt:vm1 for 90 s more and backup" in drift.message
    assert codes(hold=hold, facts=card("65:00.0", driver="nvidia"), power=AWAKE) == ["leased"]
    assert codes(hold=hold, facts=card("65:00.0", NIC)) == ["identity-changed"]
    assert codes(rule=None, known=None, hold=hold, power=AWAKE) == ["leased"]


def test_a_guest_that_has_the_device_excuses_it_and_is_named():
    drift = the_one(hold=UNHELD, power=AWAKE, opened_by=("qemu-system-x86 (pid 812)",))
    assert (drift.code, drift.severity) == ("busy", "excused")
    assert drift.message.endswith("is in use by qemu-system-x86 (pid 812)")


def test_a_guest_is_excused_though_nobody_may_look_who_it_is():
    hold = UNHELD._replace(state="refused", failure=Failure("busy", "EBUSY"))
    drift = the_one(hold=hold, power=AWAKE)
    assert (drift.code, drift.severity) == ("busy", "excused")


def test_a_guest_is_excused_where_the_device_is_only_looked_at():
    guest = ("qemu-system-x86 (pid 812)",)
    assert codes(NONE, expect="asleep", opened_by=guest) == ["busy"]
    assert codes(NONE, opened_by=guest) == []


def test_a_call_that_does_not_return_is_stuck():
    hold = UNHELD._replace(state="taking", running=Running("open", NOW - 91, 91.0))
    drift = the_one(hold=hold, power=AWAKE)
    assert (drift.code, drift.severity) == ("stuck", "drift")
    assert "open has not returned from the kernel for 91 s" in drift.message
    hold = hold._replace(running=Running("open", NOW - 70, 70.0))  # a dead function takes that long
    assert codes(hold=hold, power=AWAKE) == ["mode-mismatch"]


@pytest.mark.parametrize("action", Action)
def test_every_call_has_a_deadline_that_outlasts_the_kernels_own(action):
    assert 60 < DEADLINES[action.value] < 180


@pytest.mark.parametrize("step", [-3600, 3600])
def test_setting_the_clock_neither_makes_a_call_stuck_nor_hides_that_it_is(step):
    for lasting, code in ((2.0, "mode-mismatch"), (91.0, "stuck")):
        running = Running("open", NOW - lasting, lasting)
        hold = UNHELD._replace(state="taking", running=running)
        assert codes(hold=hold, power=AWAKE, now=NOW + step) == [code]


def test_a_call_that_waits_for_its_turn_is_not_stuck():
    hold = UNHELD._replace(state="taking", running=Running("open", NOW - 900))
    drift = the_one(hold=hold, power=AWAKE)
    assert drift.code == "mode-mismatch"
    assert drift.message.endswith("; open waits until another call has returned")


def test_a_device_that_is_not_held_while_the_helper_is_paused_is_excused():
    refused = UNHELD._replace(failure=Failure("kernel-refused", "no"))
    for hold in (UNHELD, RESERVED, refused, None):
        drift = the_one(hold=hold, power=AWAKE, paused="it was asked to")
        assert (drift.code, drift.severity) == ("paused", "excused")
        assert "it was asked to" in drift.message
    assert codes(NONE, expect="asleep", paused="it was asked to") == ["not-as-expected"]
    lost = Power("D3cold", "active", "auto")
    assert codes(hold=UNHELD, power=lost, paused="it was asked to") == ["power-error"]


@pytest.mark.parametrize("code", ["quarantined", "power-error"])
def test_a_device_in_quarantine_is_told_until_it_is_cleared(code):
    why = Quarantined(code, "0000:65:00.0: the host died", NOW)
    lent = (Lease(HERE, "guest/web", NOW),)
    for hold in (UNHELD, UNHELD._replace(leases=lent), UNHELD._replace(state="refused")):
        drift = the_one(hold=hold._replace(quarantined=why), power=AWAKE)
        assert (drift.code, drift.severity) == (code, "drift")
        assert why.message in drift.message
        assert "vfio-powerctl clear 0000:65:00.0" in drift.hint
    undeclared = UNHELD._replace(rule=None, quarantined=why)
    assert codes(rule=None, known=None, hold=undeclared) == [code]


def test_a_device_that_is_held_without_being_declared_is_told():
    drift = the_one(rule=None, known=None, hold=PLAIN._replace(rule=None))
    assert (drift.code, drift.severity) == ("undeclared-hold", "drift")


@pytest.mark.parametrize(
    ("mode", "reserve", "hold", "words"),
    [
        (ENTRY, False, UNHELD, "is declared mode entry, and is not held"),
        (ENTRY, False, None, "is declared mode entry, and is not held"),
        (ENTRY, False, RESERVED, "and is held with mode none engaged"),
        (ENTRY, False, ARMED, "and is held with mode entry-with-wakeup engaged"),
        (WAKEUP, False, PLAIN, "declared mode entry-with-wakeup, and is held with mode entry"),
        (NONE, True, UNHELD, "is declared mode none, reserved, and is not held"),
        (NONE, False, RESERVED, "is declared mode none, and is held with mode none engaged"),
    ],
)
def test_another_mode_than_the_declared_one_is_told(mode, reserve, hold, words):
    drift = the_one(mode, reserve=reserve, hold=hold)
    assert (drift.code, drift.severity) == ("mode-mismatch", "drift")
    assert words in drift.message


def test_a_device_that_is_about_to_be_taken_is_told_with_the_time():
    hold = UNHELD._replace(taken_after=NOW + 42)
    assert the_one(hold=hold).message.endswith("; it is taken in 42 s")
    hold = UNHELD._replace(state="taking", running=Running("open", NOW - 3, 3.0))
    assert the_one(hold=hold).message.endswith("; open is under way for 3 s")


@pytest.mark.parametrize("helper", ["absent", "down"])
def test_without_the_helper_only_what_is_seen_is_judged(helper):
    assert codes(hold=None, helper=helper) == []
    assert codes(hold=None, helper=helper, power=AWAKE) == ["not-suspended"]
    assert codes(NONE, expect="asleep", hold=None, helper=helper, power=D3HOT) == []


def test_a_woken_device_is_waiting_and_no_drift():
    drift = the_one(WAKEUP, hold=WAITING, power=AWAKE)
    assert (drift.code, drift.severity) == ("waiting", "info")
    assert "entered again in 3 s" in drift.message
    assert codes(ENTRY, hold=WAITING, power=AWAKE) == ["mode-mismatch"]


def test_a_device_that_waits_for_its_turn_says_what_bounds_it():
    late = WAITING._replace(waiting_until=NOW + 42, reentries=Reentries(put_off_by="bucket"))
    rule = case(WAKEUP).rule._replace(reentry=Reentry(max_per_hour=20))
    drift = the_one(WAKEUP, hold=late, power=AWAKE, rule=rule)
    assert (drift.code, drift.severity) == ("waiting", "info")
    assert drift.message.endswith("entered again in 42 s, when the bound of 20 an hour allows it")


def test_a_storm_of_wakes_is_told_with_its_facts_and_the_usual_suspects():
    drift = the_one(WAKEUP, hold=LEFT_AWAKE, power=AWAKE)
    assert (drift.code, drift.severity) == ("wake-storm", "drift")
    assert drift.message.endswith(
        "was woken 11 times in 45 min; it is left awake for another 14 min, then tried once more"
    )
    for suspect in ("lspci", "lshw", "fact gathering", "monitoring agents", "vfio-powerctl watch"):
        assert suspect in drift.hint


def test_after_a_storm_a_device_that_is_tried_is_as_declared_or_waits():
    trying = STORM._replace(breaker="half-open", put_off_by=None)
    assert codes(WAKEUP, hold=ARMED._replace(reentries=trying)) == []
    assert codes(WAKEUP, hold=WAITING._replace(reentries=trying), power=AWAKE) == ["waiting"]


def test_a_storm_of_before_is_not_told_under_another_mode_or_in_a_guest():
    assert codes(ENTRY, hold=PLAIN._replace(reentries=None)) == []
    lent = LEFT_AWAKE._replace(leases=(Lease(HERE, "libvirt:vm1", NOW),))
    assert codes(WAKEUP, hold=lent, power=AWAKE) == ["leased"]


def test_forbidden_runtime_power_management_is_told_where_sleep_is_wanted():
    forbidden = AWAKE._replace(control="on")
    drift = the_one(power=forbidden)
    assert (drift.code, drift.severity) == ("runtime-pm-forbidden", "drift")
    assert "power/control reads on" in drift.message
    assert codes(NONE, expect="asleep", power=forbidden) == ["runtime-pm-forbidden"]
    assert codes(NONE, power=forbidden) == []
    assert codes(NONE, reserve=True, power=forbidden) == []


@pytest.mark.parametrize(
    ("declared", "seen", "told"),
    [
        (HostPolicy(d3cold=FORBID), HostPolicy(ALLOW, ALLOW), "d3cold_allowed reads 1, and d3cold"),
        (HostPolicy(ALLOW), HostPolicy(FORBID, ALLOW), "power/control reads on, and runtime_pm"),
        (HostPolicy(d3cold=FORBID), HostPolicy(ALLOW), "d3cold_allowed cannot be read, and"),
    ],
)
def test_a_host_policy_that_is_not_as_declared_is_told_before_what_follows_from_it(
    declared, seen, told
):
    drift = the_one(WAKEUP, allowed=declared, policy=seen, power=AWAKE._replace(control="on"))
    assert (drift.code, drift.severity) == ("host-policy", "drift")
    assert told in drift.message
    assert "Converge again" in drift.hint


def test_a_host_policy_as_declared_is_no_drift_and_neither_is_what_is_not_declared():
    seen = HostPolicy(ALLOW, FORBID)
    assert codes(ENTRY, allowed=HostPolicy(d3cold=FORBID), policy=seen) == []
    assert codes(ENTRY, policy=seen) == []


def test_d3cold_that_is_forbidden_as_declared_is_not_told_to_be_blocked():
    asked = {"power": D3HOT, "best": "D3cold", "not_deeper": (BESIDE,)}
    declared = HostPolicy(d3cold=FORBID)
    assert codes(ENTRY, **asked) == ["d3cold-blocked"]
    assert codes(ENTRY, allowed=declared, policy=HostPolicy(ALLOW, FORBID), **asked) == []


@pytest.mark.parametrize("mode", [ENTRY, WAKEUP])
def test_an_engaged_device_that_stays_awake_is_not_suspended(mode):
    drift = the_one(mode, power=AWAKE, blockers=(BESIDE,))
    assert (drift.code, drift.severity) == ("not-suspended", "drift")
    assert f"is awake in D0 in mode {mode} (0000:65:00.1 is awake too)" in drift.message
    assert codes(mode, power=AWAKE, expect="any") == []


def test_a_device_gets_time_to_fall_asleep():
    lately = PLAIN._replace(entered=NOW - 4)
    assert codes(hold=lately, power=AWAKE) == []
    assert codes(hold=lately, power=AWAKE, settle=3.0) == ["not-suspended"]
    clock_was_set_back = PLAIN._replace(entered=NOW + 3600)
    assert codes(hold=clock_was_set_back, power=AWAKE) == ["not-suspended"]


def test_a_device_without_power_management_is_told_and_no_drift():
    drift = the_one(power=POWERLESS)
    assert (drift.code, drift.severity) == ("no-power-management", "info")
    assert codes(power=POWERLESS, expect="d3cold") == ["not-as-expected"]


@pytest.mark.parametrize(
    "power",
    [
        Power("D3cold", "active", "auto"),
        Power("error", "active", "auto"),
        Power("D0", "error", "auto"),
    ],
)
def test_a_device_that_did_not_come_back_is_a_power_error(power):
    for mode in (NONE, ENTRY):
        drift = the_one(mode, power=power)
        assert (drift.code, drift.severity) == ("power-error", "drift")
        assert f"runtime_status is {power.runtime_status}" in drift.message


def test_a_device_that_did_not_come_back_is_told_though_it_is_lent_or_not_declared():
    lost = Power("D3cold", "active", "auto")
    lent = UNHELD._replace(leases=(Lease(HERE, "guest/web", NOW),))
    undeclared = {"rule": None, "known": None}
    assert codes(hold=lent, power=lost) == ["power-error"]
    assert codes(**undeclared, hold=lent, power=lost) == ["power-error"]
    assert codes(**undeclared, hold=None, power=lost) == ["power-error"]


@pytest.mark.parametrize(
    ("mode", "reserve", "expect", "power", "words"),
    [
        (NONE, False, "asleep", AWAKE, "is awake in D0, and asleep is expected"),
        (NONE, False, "d3cold", AWAKE, "is awake in D0, and d3cold is expected"),
        (NONE, False, "d3cold", D3HOT, "is asleep in D3hot, and d3cold is expected"),
        (NONE, False, "awake", D3HOT, "is asleep in D3hot, and awake is expected"),
        (NONE, True, "awake", ASLEEP, "is asleep in D3cold, and awake is expected"),
        (ENTRY, False, "d3cold", D3HOT, "is asleep in D3hot, and d3cold is expected"),
    ],
)
def test_another_state_than_the_expected_one_is_told(mode, reserve, expect, power, words):
    drift = the_one(mode, reserve=reserve, expect=expect, power=power)
    assert (drift.code, drift.severity) == ("not-as-expected", "drift")
    assert words in drift.message


@pytest.mark.parametrize(
    ("expect", "power"),
    [
        ("any", AWAKE),
        ("any", ASLEEP),
        ("awake", AWAKE),
        ("asleep", D3HOT),
        ("asleep", ASLEEP),
        ("d3cold", ASLEEP),
    ],
)
def test_the_expected_state_is_verified_without_holding(expect, power):
    assert codes(NONE, expect=expect, power=power, host=DEFAULT_HOST) == []


def test_the_way_to_sleep_is_out_of_what_keeps_the_device_itself_awake():
    kept = Reason("disable-idle-d3", HERE, f"{HERE} is not held", "Declare mode entry for it")
    hint = the_one(NONE, expect="asleep", power=AWAKE, blockers=(BESIDE, kept)).hint
    assert hint == kept.hint


@pytest.mark.parametrize("mode", [ENTRY, WAKEUP])
def test_holding_where_devices_sleep_by_themselves_saves_nothing(mode):
    drift = the_one(mode, host=DEFAULT_HOST)
    assert (drift.code, drift.severity) == ("hold-saves-nothing", "info")
    assert codes(mode, host=DEFAULT_HOST, power=AWAKE) == ["not-suspended", "hold-saves-nothing"]
    assert codes(NONE, reserve=True, host=DEFAULT_HOST) == []
    assert codes(mode, host=DEFAULT_HOST._replace(disable_idle_d3=None)) == []


def test_a_state_that_cannot_be_read_is_not_judged():
    assert codes(power=None) == []


def test_everything_told_is_one_sentence_with_a_next_step():
    told = [
        drift
        for how in (
            {"facts": None},
            {"hold": UNHELD},
            {"hold": LEFT_AWAKE, "rule": case(WAKEUP).rule},
            {"power": AWAKE},
            {"power": POWERLESS},
            {"host": DEFAULT_HOST},
            {"facts": card("65:00.0", NIC)},
            {"facts": card("65:00.0", driver=None)},
        )
        for drift in judge(case(**how))
    ]
    for drift in told:
        assert "0000:65:00.0" in drift.message
        assert not drift.message.endswith(".")
        assert drift.hint
        assert not drift.hint.endswith(".")


def test_only_drift_counts_as_drifted():
    assert drifted(judge(case(power=AWAKE)))
    assert not drifted(judge(case(WAKEUP, hold=WAITING, power=AWAKE)))
    assert not drifted(judge(case(hold=UNHELD, opened_by=("qemu (pid 1)",))))
    assert not drifted([])
