# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed program is complete, and what is installed can be taken away again."""

from __future__ import annotations

import ast
import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils import _files, _installation, _program
from ansible_collections.vfio.power.plugins.module_utils._files import File, Link
from ansible_collections.vfio.power.plugins.module_utils._installation import Installation
from ansible_collections.vfio.power.plugins.module_utils._manifest import this_boot
from ansible_collections.vfio.power.plugins.module_utils._wanted import Wanted
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.quirks import SHIPPED
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.quirks import load
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import InputError
from ansible_collections.vfio.power.plugins.modules import helper_code

PROGRAM = Path(_program.__file__).parent / "vfio_power"

UNIT = File("/etc/systemd/system/some.service", "[Unit]\n")
COMMAND = Link("/usr/local/sbin/some", "/opt/some/current/some")
PAGE = File("/usr/local/share/man/man8/some.8", "page\n")


@pytest.fixture
def root(tmp_path):
    """A host's root folder with little in it."""
    (tmp_path / "usr").mkdir()
    return tmp_path


def installation(root, boot="this boot"):
    """Return what is installed below a root folder."""
    return Installation(Path("/opt/some"), root, boot)


def wanted(version="1", program=None, files=(UNIT,), links=(COMMAND,)):
    """Return something small to install; the helper is restarted for its unit."""
    program = {"some": "one\n"} if program is None else program
    tree = {path: File(path, text) for path, text in program.items()}
    return Wanted(version, tree, files, links, restart_for=[UNIT.path])


def install(root, *, write=True, **what):
    """Install it; return the paths that changed."""
    installed = installation(root).install(wanted(**what), write=write)
    return {change.path for change in installed.changes}


def restart_due(root, *, write=True, boot="this boot", **what):
    """Install it; tell whether the helper has to be restarted."""
    return installation(root, boot).install(wanted(**what), write=write).restart_due


def seen(root, *, write=True):
    """Note that the helper runs what is installed; return the paths that changed."""
    return {change.path for change in installation(root).seen(write=write)}


def uninstall(root, *more, write=True):
    """Remove it; return the paths that changed."""
    return {change.path for change in installation(root).uninstall(more, write=write)}


def contents_of(root):
    """Return every file with what is in it, and every link with where it points."""
    return {
        path: os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def everything_in(root):
    """Return the relative paths of all that is in a folder."""
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


def test_every_part_of_the_program_travels_with_the_module():
    tree = ast.parse(Path(_program.__file__).read_text(encoding="utf-8"))
    named = {
        f"{node.module.removeprefix(_program.PACKAGE + '.')}/{alias.name}.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith(_program.PACKAGE)
        for alias in node.names
    }
    parts = {path.relative_to(PROGRAM).as_posix() for path in PROGRAM.rglob("*.py")}
    assert named == {part for part in parts if not part.endswith("__init__.py")}


def test_the_source_that_is_installed_is_the_source_that_runs_here():
    installed = _program.program_files()
    for path in PROGRAM.rglob("*.py"):
        name = f"vfio_power/{path.relative_to(PROGRAM).as_posix()}"
        assert installed[name] == path.read_text(encoding="utf-8")


def test_each_start_script_is_python_and_names_a_part_of_the_program():
    for name, text in _program.start_scripts("/usr/bin/python3").items():
        assert text.startswith("#!/usr/bin/python3 -IB\n")
        compile(text, name, "exec")
    for module, _name in _program.COMMANDS.values():
        assert (PROGRAM / f"{module.replace('.', '/')}.py").exists()


def test_the_second_installation_changes_nothing(root):
    assert install(root)
    before = {path: path.lstat().st_mtime_ns for path in root.rglob("*")}
    assert not install(root)
    assert {path: path.lstat().st_mtime_ns for path in root.rglob("*")} == before


def test_looking_what_would_be_installed_writes_nothing(root):
    before = everything_in(root)
    assert install(root, write=False) == install(root, write=False) != set()
    assert everything_in(root) == before


def test_the_link_follows_the_version_and_the_older_one_goes_once_the_new_one_was_seen(root):
    install(root)
    seen(root)
    install(root, version="2")
    base = root / "opt/some"
    assert (base / "current").resolve() == base / "2"
    assert (base / "1").exists()
    assert seen(root, write=False) == seen(root)
    assert {path.name for path in base.iterdir()} == {"2", "current", "installed.json"}
    assert not seen(root)
    assert not install(root, version="2")


def test_what_an_update_makes_useless_is_told_before_it_is_made(root):
    install(root)
    seen(root)
    foretold = {change.path for change in installation(root).seen(write=False, version="2")}
    install(root, version="2")
    gone = {path for path in seen(root) if not installation(root).is_a_note(path)}
    assert foretold == gone == {"/opt/some/1"}


def test_of_several_versions_that_were_never_seen_none_stays(root):
    install(root)
    seen(root)
    for version in ("2", "3"):
        install(root, version=version)
    base = root / "opt/some"
    assert {path.name for path in base.glob("[0-9]")} == {"1", "3"}
    installation(root).put_back()
    seen(root)
    assert {path.name for path in base.iterdir()} == {"1", "current", "installed.json"}


NEW = {
    "another version": {"version": "2", "program": {"some": "two\n"}},
    "the same version": {"program": {"some": "two\n", "more": ""}},
    "another unit": {"files": (UNIT._replace(content="new\n"),)},
    "more and less": {"version": "2", "files": (File("/etc/other", ""),), "links": ()},
}


@pytest.mark.parametrize("new", NEW.values(), ids=NEW.keys())
def test_what_the_helper_runs_can_be_put_back_until_the_new_one_was_seen(root, new):
    install(root, program={"some": "one\n", "bin/other": ""})
    seen(root)
    before = contents_of(root)
    install(root, **new)
    assert contents_of(root) != before
    installation(root).put_back()
    assert installation(root).restart_due
    seen(root)
    assert contents_of(root) == before
    assert installation(root).previous() is None


def test_of_what_was_never_seen_to_run_nothing_is_kept(root):
    install(root)
    install(root, version="2")
    assert installation(root).previous() is None
    assert not (root / "opt/some/1").exists()


def test_what_a_boot_has_brought_is_kept_as_well(root):
    install(root)
    installation(root, "the next boot").install(wanted(version="2"), write=True)
    assert installation(root).previous().version == "1"


def test_what_is_kept_is_that_which_was_seen_last(root):
    install(root)
    seen(root)
    install(root, version="2")
    installation(root, "the next boot").install(wanted(version="3"), write=True)
    assert installation(root).previous().version == "1"


def test_a_page_of_the_manual_is_no_reason_to_keep_anything(root):
    install(root)
    seen(root)
    install(root, files=(UNIT, PAGE))
    assert installation(root).previous() is None


def test_files_that_are_no_text_are_put_back_as_they_were(root):
    install(root)
    seen(root)
    (root / UNIT.path[1:]).write_bytes(b"edited \xff\n")
    install(root)
    installation(root).put_back()
    assert (root / UNIT.path[1:]).read_bytes() == b"edited \xff\n"


def test_nothing_of_an_older_program_stays_in_the_folder(root):
    install(root, program={"a/one": "", "two": ""})
    assert install(root, program={"two": "", "three": ""}) == {"/opt/some/1"}
    assert everything_in(root / "opt/some/1") == {"two", "three"}


def test_a_file_that_somebody_edited_is_put_right(root):
    install(root)
    (root / "etc/systemd/system/some.service").write_text("edited\n")
    assert install(root) == {UNIT.path}
    assert (root / "etc/systemd/system/some.service").read_text() == UNIT.content


def test_a_file_that_is_no_longer_shipped_is_removed(root):
    install(root)
    assert install(root, files=()) == {UNIT.path}
    assert not (root / "etc/systemd/system/some.service").exists()


def test_removal_leaves_the_host_as_it_was_found(root):
    (root / "etc").mkdir()
    (root / "etc/theirs").write_text("")
    before = everything_in(root)
    install(root)
    uninstall(root)
    assert everything_in(root) == before


def test_removal_leaves_folders_that_others_have_come_to_use(root):
    install(root)
    (root / "usr/local/sbin/theirs").write_text("")
    uninstall(root)
    assert (root / "usr/local/sbin/theirs").exists()
    assert not (root / "usr/local/sbin/some").is_symlink()


def test_removal_takes_what_the_helper_stored_when_told_to(root):
    install(root)
    (root / "var/lib/some").mkdir(parents=True)
    assert "/var/lib/some" in uninstall(root, "/var/lib/some")
    assert not (root / "var/lib/some").exists()


def test_removing_what_is_not_installed_changes_nothing(root):
    assert not uninstall(root, "/var/lib/some")


def test_looking_what_would_be_removed_removes_nothing(root):
    install(root)
    before = everything_in(root)
    assert uninstall(root, write=False)
    assert everything_in(root) == before


QUIRKS = File(helper_code.QUIRKS, "[]\n")


def test_a_restart_is_due_for_a_file_that_comes_and_for_one_that_goes(root):
    def due(*files):
        what = wanted(files=files)._replace(restart_for=[QUIRKS.path])
        return installation(root).install(what, write=True).restart_due

    install(root, files=())
    for files, expected in [((QUIRKS,), True), ((), True), ((PAGE,), False), ((), False)]:
        seen(root)
        assert due(*files) is expected
    assert not (root / "etc/vfio-power/quirks.d/50-playbook.json").exists()
    uninstall(root)
    assert not (root / "etc/vfio-power").exists()


ROW = {"match": {"vendor": ["1002"]}, "quirk": "no-d3cold", "reason": "lost", "source": "us"}


def test_quirks_are_written_so_that_the_helper_reads_the_same(tmp_path):
    (file,) = helper_code.quirk_files([ROW])
    (tmp_path / "50-playbook.json").write_text(file.content)
    (tmp_path / "50-playbook.json").chmod(file.mode)
    loaded = load(str(tmp_path), os.getuid())
    assert loaded.damaged == ""
    assert [quirk.reason for quirk in loaded.quirks[len(SHIPPED) :]] == ["lost"]


def test_without_quirks_there_is_no_file():
    assert helper_code.quirk_files([]) == []


def test_quirks_that_make_no_sense_are_refused_with_everything_that_is_wrong():
    rows = [{**ROW, "quirk": "no-luck"}, {**ROW, "match": {"vendor": [4318]}}]
    with pytest.raises(InputError) as refused:
        helper_code.quirk_files(rows)
    places = [problem.place for problem in refused.value.problems]
    assert places == ["quirks[0].quirk", "quirks[1].match.vendor[0]"]


def test_a_restart_is_due_until_it_was_noted_and_not_a_second_time(root):
    assert restart_due(root)
    assert restart_due(root), "the run before was cut short"
    assert seen(root)
    assert not restart_due(root)
    assert not seen(root)


@pytest.mark.parametrize(
    "update",
    [
        {"program": {"some": "two\n"}},
        {"version": "2"},
        {"files": (UNIT._replace(content="[Unit]\nAfter=other\n"),)},
    ],
    ids=["program", "version", "unit"],
)
def test_a_restart_is_due_for_the_program_and_for_units(root, update):
    install(root)
    seen(root)
    assert restart_due(root, write=False, **update)
    assert not restart_due(root), "looking makes nothing due"
    assert restart_due(root, **update)
    assert restart_due(root, write=False, **update), "check mode knows what is due"


def test_no_restart_is_due_for_a_page_of_the_manual_or_a_link(root):
    install(root)
    seen(root)
    (root / "usr/local/sbin/some").unlink()
    assert not restart_due(root, files=(UNIT, PAGE))
    assert (root / "usr/local/share/man/man8/some.8").exists()


def test_what_was_due_in_another_boot_is_done_by_the_boot(root):
    install(root)
    assert not restart_due(root, boot="the next boot")
    assert not install(root)


def test_this_boot_is_told_from_others_where_there_is_proc(tmp_path):
    assert this_boot() == this_boot()
    assert this_boot(str(tmp_path / "none")) != this_boot()


class CutShort(BaseException):
    """The module was killed; nothing that was about to run ran."""


class Kills:
    """Kills an installation before its n-th change to the host."""

    CHANGES = ("write_file", "write_link", "write_tree", "remove")

    def __init__(self, monkeypatch, lives):
        self._lives = lives
        for name in self.CHANGES:
            if hasattr(_installation, name):
                monkeypatch.setattr(_installation, name, self._counted(getattr(_files, name)))
        monkeypatch.setattr(Path, "mkdir", self._counted(Path.mkdir))
        save = _installation.Manifest.save
        monkeypatch.setattr(_installation.Manifest, "save", self._counted(save))

    def _counted(self, real):
        def change(*arguments, **options):
            if not self._lives:
                raise CutShort
            self._lives -= 1
            return real(*arguments, **options)

        return change


def test_an_update_that_was_killed_at_any_moment_is_finished_by_the_next_run(tmp_path, monkeypatch):
    lives, finished = 0, False
    while not finished:
        root = tmp_path / str(lives)
        root.mkdir()
        before = everything_in(root)
        old = {"files": (UNIT, PAGE), "version": "1"}
        new = {"files": (UNIT._replace(content="new\n"),), "version": "2"}
        install(root, **old)
        seen(root)
        running = contents_of(root)
        Kills(monkeypatch, lives)
        try:
            install(root, **new)
            finished = True
        except CutShort:
            lives += 1
        monkeypatch.undo()
        assert restart_due(root, **new)
        assert not install(root, **new)
        assert not (root / PAGE.path[1:]).exists(), f"forgotten when killed after {lives - 1}"
        assert installation(root).previous().version == "1"
        installation(root).put_back()
        seen(root)
        assert contents_of(root) == running
        uninstall(root)
        assert everything_in(root) == before
    assert lives > 5


def test_a_first_installation_that_was_killed_leaves_no_folder_that_nobody_knows(
    tmp_path, monkeypatch
):
    lives, finished = 0, False
    while not finished:
        root = tmp_path / str(lives)
        root.mkdir()
        Kills(monkeypatch, lives)
        try:
            install(root, files=(UNIT, PAGE))
            finished = True
        except CutShort:
            lives += 1
        monkeypatch.undo()
        install(root, files=(UNIT, PAGE))
        uninstall(root)
        # Where the list is has to be there before the list.
        assert everything_in(root) <= {"opt"}, f"forgotten when killed after {lives - 1}"
    assert everything_in(root) == set()
    assert lives > 10


def test_a_list_that_was_lost_is_written_anew_and_told(root):
    install(root)
    (root / "opt/some/installed.json").unlink()
    assert install(root, write=False) == {"/opt/some/installed.json"}
    (change,) = installation(root).install(wanted(), write=True).changes
    assert change.before == ""
    assert UNIT.path in change.after.splitlines()
    assert not install(root)


def test_removal_is_told_of_files_whose_list_was_lost(root):
    install(root)
    (root / "opt/some/installed.json").unlink()
    assert uninstall(root, UNIT.path, COMMAND.path) == {UNIT.path, COMMAND.path, "/opt/some"}
    assert not (root / "etc/systemd/system/some.service").exists()
    assert not (root / "usr/local/sbin/some").is_symlink()


def test_what_was_installed_below_a_root_folder_is_removed_from_where_it_is_mounted_next(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir()
    install(root)
    root.rename(elsewhere)
    uninstall(elsewhere)
    assert everything_in(elsewhere) == set()


def fill_the_disk(*_):
    """Fail as a write to a full disk does: the kernel names no file."""
    raise OSError(errno.ENOSPC, "No space left on device")


class Task:
    """A task of the module as Ansible would hand it over, below a root folder."""

    check_mode, _diff = False, False

    def __init__(self, root, **params):
        self.answer = {}
        defaults = {"state": "present", "python": sys.executable, "imports": [], "files": []}
        others = {"links": [], "quirks": [], "also_remove": [], "path": "/opt/some"}
        self.params = {**defaults, **others, "root": str(root), **params}

    def run_command(self, command, **_options):
        """Run a command."""
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def exit_json(self, **answer):
        """Succeed."""
        self.answer = answer


@pytest.fixture
def strict_umask():
    """Whoever makes a folder makes it for himself, as on a hardened host."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_on_a_host_with_a_strict_umask_everybody_may_read_the_program(
    root, strict_umask, monkeypatch
):
    task = Task(root, files=[{"path": PAGE.path, "content": "page", "restart": False}])
    monkeypatch.setattr(helper_code, "AnsibleModule", lambda **_spec: task)
    helper_code.main()
    assert task.answer["changed"]
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in root.rglob("*")}
    program = {path: mode for path, mode in modes.items() if not path.is_symlink()}
    assert (root / "usr/local/share/man/man8").is_dir()
    assert any(path.suffix == ".pyc" for path in program)
    closed = [path for path, mode in program.items() if not mode & 0o004]
    closed += [path for path, mode in program.items() if path.is_dir() and not mode & 0o001]
    assert not [path for path in closed if path != root / "usr"]


def test_what_is_installed_is_on_the_disk_before_it_has_its_name(root, monkeypatch):
    synced, early = set(), []
    fsync, replace, rename = os.fsync, os.replace, Path.rename

    def noting(number):
        fsync(number)
        synced.add(os.fstat(number).st_ino)

    def check(old, new):
        below = [Path(old), *Path(old).rglob("*")]
        early.extend(it for it in below if not it.is_symlink() and it.stat().st_ino not in synced)

    def replacing(old, new):
        if ".1.new." not in str(new):  # a name in there is none yet
            check(old, new)
        replace(old, new)

    def renaming(old, new):
        check(old, new)
        return rename(old, new)

    monkeypatch.setattr(_files.os, "fsync", noting)
    monkeypatch.setattr(_files.os, "replace", replacing)
    monkeypatch.setattr(Path, "rename", renaming)
    install(root, program={"some": "one\n", "a/one": "two\n"}, files=(UNIT, PAGE))
    assert not early
    folders = {path.parent for path in root.rglob("*") if not path.is_dir()}
    assert not {path for path in folders if path.stat().st_ino not in synced}


def test_what_a_power_cut_left_of_the_copy_of_what_runs_is_no_copy(root):
    install(root)
    seen(root)
    install(root, version="2")
    (root / "opt/some/previous.json").write_text("")
    installation(root, "the next boot").install(wanted(version="3"), write=True)
    assert installation(root).previous().version == "2"


def test_a_full_disk_is_told_with_the_path_that_was_written(root, monkeypatch):
    monkeypatch.setattr(_files.os, "fchmod", fill_the_disk)
    with pytest.raises(OSError, match=r"No space left on device: '/\S+/opt/some/installed.json'"):
        install(root)
