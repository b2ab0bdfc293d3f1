# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Surroundings in which Ansible's own tools work: the copy of the tree, homes, search paths.

A session of noxfile.py asks for one of these and runs its tool there.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nox

from tools import machine, tree

Environment = dict[str, str]


def search_path(session: nox.Session, *more: Path) -> str:
    """First the programs of the session, then those of the machine, then what else is given."""
    places = [session.bin, *machine.search_path(), *(str(place) for place in more)]
    return os.pathsep.join(dict.fromkeys(places))


@contextmanager
def collection(session: nox.Session, name: str = "checks") -> Iterator[Environment]:
    """Work inside the copy of the collection, in the environment Ansible's tools want there."""
    with tree.work_copy(name) as copy, session.chdir(copy):
        place = copy.parents[2]
        yield {
            "ANSIBLE_COLLECTIONS_PATH": str(place),
            # A copy of the collection that some tool once put into the user's own folder would win.
            "ANSIBLE_HOME": str(place / "home"),
            "PATH": search_path(session),
        }


@contextmanager
def installed_collection(session: nox.Session, name: str) -> Iterator[Path]:
    """A folder with the collection as users get it: built, and installed from the tarball."""
    with tempfile.TemporaryDirectory(prefix="vfio-power-") as fresh:
        with collection(session, name) as env:
            galaxy = ["ansible-galaxy", "collection"]
            session.run(*galaxy, "build", "--output-path", fresh, env=env, silent=True)
            (tarball,) = Path(fresh).glob("*.tar.gz")
            env["ANSIBLE_COLLECTIONS_PATH"] = fresh
            session.run(*galaxy, "install", "--offline", str(tarball), env=env, silent=True)
        yield Path(fresh)


@contextmanager
def ansible_test(session: nox.Session, pythons: list[Path]) -> Iterator[Environment]:
    """Work inside the copy of the collection, in an environment where ansible-test finds all.

    That is every Python of the machine, our get-pip, and what pip keeps in the user's home.
    """
    home = machine.cache() / "home"
    _put_get_pip(session, home / ".ansible/test/cache")
    for folder in (".cache", ".config"):
        _share(Path.home() / folder, home / folder)
    with collection(session):
        yield {
            "HOME": str(home),
            "PATH": search_path(session, *(python.parent for python in pythons)),
            "PIP_QUIET": "1",
        }


def run(session: nox.Session, env: Environment, *command: str) -> None:
    session.run(*command, env=env)


def run_as_root(session: nox.Session, env: Environment, *command: str) -> None:
    """Run a command of the session as root, and own again what it leaves in copy and home."""
    if os.geteuid() == 0:
        run(session, env, *command)
        return
    settings = [f"{name}={value}" for name, value in env.items()]
    try:
        session.run("sudo", "env", *settings, *command, external=True)
    finally:
        owner = f"{os.getuid()}:{os.getgid()}"
        session.run("sudo", "chown", "-R", owner, ".", env["HOME"], external=True)


def _put_get_pip(session: nox.Session, place: Path) -> None:
    found = Path(session.bin).parent.glob("lib/*/site-packages/ansible_test/_internal")
    requirements = (next(found) / "python_requirements.py").read_text()
    place.mkdir(parents=True, exist_ok=True)
    for version in re.findall(r"\bpip='([0-9.]+)'", requirements):
        name = f"get_pip_{version.replace('.', '_')}.py"
        shutil.copyfile(machine.ROOT / "tools/get_pip.py", place / name)


def _share(folder: Path, link: Path) -> None:
    if folder.is_dir() and not link.is_symlink():
        link.symlink_to(folder)
