# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A helper that does not come up is replaced by the one before; nothing is claimed unseen."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils import _manifest
from ansible_collections.vfio.power.plugins.module_utils._files import File
from ansible_collections.vfio.power.plugins.module_utils._installation import Installation
from ansible_collections.vfio.power.plugins.module_utils._service import (
    Look,
    NotStarted,
    Service,
)
from ansible_collections.vfio.power.plugins.module_utils._upgrade import DidNotComeUp, Upgrade
from ansible_collections.vfio.power.plugins.module_utils._wanted import Wanted
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.helper import Answer
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.view import HelperView
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    Failure,
    HoldReport,
    Lease,
    Quarantined,
    Running,
)

NIC, DISK = PciAddress.parse("0000:02:00.0"), PciAddress.parse("0000:03:00.0")


CLOSES = {"held": True, "running": Running("close", 0.0, 0.1)}
OPENS = {"held": False, "running": Running("open", 0.0)}
ENTERS = {"held": True, "running": Running("entry", 0.0, 0.1)}

MOVES = {
    "takes": [OPENS, OPENS, ENTERS],
    "forgets slowly": [CLOSES, CLOSES],
    "never closes it": [CLOSES] * 1000,
    "never opens it": [OPENS] * 1000,
}
"""By program: how NIC moves after a start, before it stands as the program leaves it."""


class Host:
    """A host whose helper does what its program says: the text of its one file."""

    def __init__(self, root: Path) -> None:
        self.installation = Installation(Path("/opt/some"), root, "this boot")
        self.root = root
        self.running, self.version, self.restarts = "", "", 0
        self.held, self.on_vfio = {NIC, DISK}, {NIC, DISK}
        self.told: dict[str, object] = {}  # of NIC
        self.paused = ""
        self.compiled: list[str] = []
        self.moves: list[dict[str, object]] = []  # what is told of NIC, look by look
        self.slept = 0.0

    def install(self, text: str, version: str = "1") -> None:
        """Install a program."""
        program = {"some": File("some", text)}
        self.installation.install(Wanted(version, program), write=True)

    def bring_up(self, *, write: bool = True):
        """Have the helper run it; tell whether it was restarted, and what changed."""
        upgrade = Upgrade(self.installation, self, self.compiled.append, self.sleep)
        started = upgrade.bring_up(write=write)
        return started.restarted, [change.path for change in started.changes]

    # What an upgrade asks of a service.

    @property
    def active(self) -> bool:
        """Tell whether it serves."""
        return bool(self.running)

    def restart(self) -> None:
        """Run what is installed."""
        self.restarts += 1
        self.version = self.installation.version
        program = self.root / "opt/some" / self.version / "some"
        self.running = program.read_text()
        if "raises" in self.running:
            self.running = ""
            raise NotStarted("Job for it failed.")
        self.held = {DISK} if "forgets" in self.running else {NIC, DISK}
        self.moves = list(MOVES.get(self.running, []))

    def sleep(self, seconds: float) -> None:
        """Let time pass, in which a device moves on."""
        self.slept += seconds
        self.moves = self.moves[1:]

    def look(self) -> Look:
        """Say what it says."""
        if not self.running or "silent" in self.running:
            return Look(Answer(HelperView("down", trouble="Nobody listens.")), 5 * len(self.held))
        holds = {it: HoldReport(it, held=it in self.held) for it in (NIC, DISK)}
        holds[NIC] = holds[NIC]._replace(**self.told)
        holds[NIC] = holds[NIC]._replace(**(self.moves[0] if self.moves else {}))
        version = "9" if "strange" in self.running else self.version
        answered = "another revision" not in self.running
        helper = HelperView("running", answered=answered, version=version, paused=self.paused)
        answer = Answer(helper, holds if answered else {})
        return Look(answer, 5 * len(self.held), frozenset(self.on_vfio))

    def journal(self) -> list[str]:
        """Return what it wrote last."""
        return ["Traceback", "RuntimeError: oh no"]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host whose helper runs what is installed."""
    made = Host(tmp_path)
    made.install("good")
    assert made.bring_up() == (True, ["/opt/some/installed.json"])
    return made


def test_the_new_one_is_run_and_the_old_one_goes(host: Host) -> None:
    host.install("better", "2")
    restarted, changed = host.bring_up()
    assert restarted
    assert changed == ["/opt/some/installed.json", "/opt/some/1", "/opt/some/previous.json"]
    assert (host.running, host.version) == ("better", "2")


def test_what_runs_already_is_neither_asked_nor_restarted(host: Host) -> None:
    restarts, host.look = host.restarts, None  # type: ignore[method-assign,assignment]
    assert host.bring_up() == (False, [])
    assert host.restarts == restarts


def test_one_that_does_not_run_is_started(host: Host) -> None:
    host.running = ""
    assert host.bring_up() == (True, [])
    assert host.running == "good"


def test_check_mode_says_so_and_does_nothing(host: Host) -> None:
    host.install("better", "2")
    restarted, changed = host.bring_up(write=False)
    assert restarted
    assert "/opt/some/1" in changed
    assert host.running == "good"
    assert host.bring_up()[1] == changed


BROKEN = {
    "raises": "Job for it failed",
    "is silent": "it does not answer. Nobody listens",
    "is strange": "version 9 answers in its place",
    "forgets": "it does not hold any more: 0000:02:00.0",
    "forgets in another revision": "of 10 descriptors that were kept for it 5 are left",
}


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("text", [*BROKEN])
def test_what_was_there_before_comes_back_when_the_new_one(
    host: Host, text: str, version: str
) -> None:
    host.install(text, version)
    with pytest.raises(DidNotComeUp) as told:
        host.bring_up()
    assert f"version {version} did not come up: {BROKEN[text]}." in str(told.value)
    assert "RuntimeError: oh no" in str(told.value)
    assert told.value.journal[0] == "Traceback"
    assert told.value.put_back
    assert "(version 1) was put back: it answers, and holds what was held." in str(told.value)
    assert "Report the journal, and run the collection of version 1 until" in str(told.value)
    assert (host.running, host.version) == ("good", "1")
    assert host.compiled == ["1"]
    assert host.bring_up() == (False, [])
    left = {path.name for path in (host.root / "opt/some").glob("*")}
    assert left == {"1", "current", "installed.json"}


def test_that_the_one_before_does_not_come_up_either_is_told(host: Host) -> None:
    host.install("raises", "2")

    def raises() -> None:
        host.running = ""
        raise NotStarted("Job for it failed.")

    host.restart = raises  # type: ignore[method-assign]
    with pytest.raises(DidNotComeUp, match="does not come up either: Job for it failed") as told:
        host.bring_up()
    assert not told.value.put_back
    assert "systemctl status vfio-powerd.service" in str(told.value)
    assert host.installation.restart_due, "the next run tries again"


def test_the_first_one_has_nothing_to_go_back_to(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.install("raises")
    with pytest.raises(DidNotComeUp, match="Nothing was installed before") as told:
        host.bring_up()
    assert not told.value.put_back


def test_a_disk_that_is_too_full_to_put_it_back_hides_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.install("raises", "2")

    def full(*_file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/opt/some/installed.json")

    monkeypatch.setattr(_manifest, "write_file", full)
    with pytest.raises(DidNotComeUp) as told:
        host.bring_up()
    assert "version 2 did not come up: Job for it failed" in str(told.value)
    assert "could not be put back: [Errno 28] No space left on device" in str(told.value)
    assert "Make room on that file system, then run the task again." in str(told.value)
    assert (told.value.put_back, told.value.journal[0]) == (False, "Traceback")


def test_what_was_put_back_and_cannot_be_noted_is_told_as_put_back(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.install("raises", "2")

    def full(*, write: bool) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(host.installation, "seen", full)
    with pytest.raises(DidNotComeUp, match="was put back: it answers") as told:
        host.bring_up()
    assert told.value.put_back


def test_a_helper_that_did_not_serve_before_is_not_said_to_hold_what_it_held(host: Host) -> None:
    host.running = ""
    host.install("raises", "2")
    with pytest.raises(DidNotComeUp, match=r"was put back: it answers\.\n"):
        host.bring_up()


@pytest.mark.parametrize("why", ["it is paused", "only descriptors were counted"])
def test_what_was_not_compared_is_not_said_to_be_held(host: Host, why: str) -> None:
    if why == "it is paused":
        host.paused = "vfio-powerctl pause"
    else:
        host.running = "speaks another revision"
    host.install("raises", "2")
    with pytest.raises(DidNotComeUp, match=r"was put back: it answers\.\n"):
        host.bring_up()


REASONS = {
    "leases": (Lease(NIC, "guest", 0.0),),
    "quarantined": Quarantined("quarantined", "reported an error", 0.0),
    "failure": Failure("unsupported", "must not be held"),
}


@pytest.mark.parametrize("why", [*REASONS, "paused", "unbound"])
def test_what_is_let_go_for_a_reason_was_not_lost(host: Host, why: str) -> None:
    if why in REASONS:
        host.told = {why: REASONS[why]}
    elif why == "paused":
        host.paused = "vfio-powerctl pause"
    else:
        host.on_vfio = {DISK}
    host.install("forgets", "2")
    assert host.bring_up()[0]


def test_what_could_not_be_taken_was_lost(host: Host) -> None:
    host.told = {"failure": Failure("busy", "is open elsewhere")}
    host.install("forgets", "2")
    with pytest.raises(DidNotComeUp, match="does not hold any more"):
        host.bring_up()


def test_a_device_that_is_still_being_taken_is_waited_for(host: Host) -> None:
    host.install("takes", "2")
    assert host.bring_up()[0]
    assert host.slept == pytest.approx(0.6)


@pytest.mark.parametrize("text", ["forgets slowly", "never closes it", "never opens it"])
def test_one_that_is_being_let_go_or_does_not_get_open_was_lost(host: Host, text: str) -> None:
    host.install(text, "2")
    with pytest.raises(DidNotComeUp, match=r"does not hold any more: 0000:02:00\.0") as told:
        host.bring_up()
    assert told.value.put_back
    assert host.slept <= 60.1


def test_the_one_before_may_have_to_take_devices_again(host: Host) -> None:
    host.install("forgets slowly", "2")
    restart = host.restart

    def takes_again() -> None:
        restart()
        if host.running == "good":
            host.moves = [OPENS, OPENS]

    host.restart = takes_again  # type: ignore[method-assign]
    with pytest.raises(DidNotComeUp, match="and holds what was held"):
        host.bring_up()


def test_what_was_on_its_way_out_before_was_not_lost(host: Host) -> None:
    host.moves = [CLOSES]
    host.install("forgets", "2")
    assert host.bring_up()[0]


def test_another_revision_that_keeps_all_descriptors_is_well(host: Host) -> None:
    host.install("speaks another revision", "2")
    assert host.bring_up()[0]


class Commands:
    """Runs nothing, and answers as told."""

    def __init__(self, **answers: tuple[int, str, str]) -> None:
        self.asked: list[str] = []
        self.last: list[str] = []
        self._answers = answers

    def __call__(self, command: list[str]) -> tuple[int, str, str]:
        """Note the command and return its end."""
        word = command[1].replace("-", "_")
        self.asked.append(word)
        self.last = command
        return self._answers.get(word, (0, "", ""))


def test_units_are_read_anew_before_the_restart() -> None:
    run = Commands()
    Service(run).restart()
    assert run.asked == ["show", "daemon_reload", "reset_failed", "restart"]
    assert run.last == ["systemctl", "restart", "vfio-powerd.service"]


def test_a_socket_whose_unit_was_written_is_restarted_with_the_service_in_one_job() -> None:
    run = Commands(show=(0, "yes\n", ""))
    Service(run).restart()
    assert run.asked.index("show") < run.asked.index("daemon_reload")  # nobody knows afterwards
    assert run.last == ["systemctl", "restart", "vfio-powerd.socket", "vfio-powerd.service"]


def test_why_it_was_not_started_is_told_in_a_line() -> None:
    run = Commands(restart=(1, "", "Job for it failed.\nSee 'systemctl status'.\n"))
    with pytest.raises(NotStarted, match=r"^Job for it failed\.$"):
        Service(run).restart()


def test_one_that_does_not_serve_is_not_asked() -> None:
    look = Service(Commands(is_active=(3, "", ""), show=(0, "15\n", ""))).look()
    assert look.answer.helper.state == "down"
    assert look.kept == 15
