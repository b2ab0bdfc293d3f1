# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sessions of the checks. `make help` lists the words people use, `nox --list` all sessions.

Every session can run alone. `make test` runs all that carry a lane tag, through tools/checks.py.
What a tool is for, and how to run a single test, is told in docs/development.md.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent))

from tools import machine, tree

nox.options.envdir = machine.cache() / "nox"
nox.options.reuse_venv = "yes"
nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "types", "floor"]

PYTHONS = machine.pythons()
CORES = machine.cores(PYTHONS)
NEWEST = list(CORES)[-1]
PYTHON = str(CORES[NEWEST])
CONSTRAINTS = "tools/constraints.txt"
PROGRAM = "plugins/module_utils/vfio_power"
FLOOR = ".".join(map(str, machine.FLOOR))

# Sessions of different lanes may run at the same time, sessions of one lane may not.
CHECKS = ["checks"]
LAB = ["lab"]


def install(session: nox.Session, *packages: str) -> None:
    session.install("--quiet", "--constraint", CONSTRAINTS, *packages)


@nox.session(python=PYTHON, tags=CHECKS)
def lint(session: nox.Session) -> None:
    """Style and likely mistakes in Python, shell and YAML."""
    install(session, "ruff", "yamllint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("yamllint", "--strict", ".")
    session.run("shellcheck", *shell_scripts(), external=True)


def shell_scripts() -> list[str]:
    files = sorted(tree.source_files(machine.ROOT))
    return [str(file) for file in files if is_shell(machine.ROOT / file)]


def is_shell(file: Path) -> bool:
    with file.open("rb") as opened:
        first = opened.readline(80)
    return re.match(rb"#!.*\b(ba)?sh\b", first) is not None


@nox.session(python=PYTHON, tags=CHECKS)
def types(session: nox.Session) -> None:
    """The program, strictly typed, as Python 3.9 reads it; and the tools around it."""
    install(session, "mypy", "nox")
    session.run("mypy", PROGRAM)
    session.run("mypy", "--python-version", "3.11", "noxfile.py", "tools")


@nox.session(python=PYTHON, tags=CHECKS)
def floor(session: nox.Session) -> None:
    """Nothing under plugins/ needs a newer Python than the floor, in syntax or library."""
    install(session, "vermin")
    # It takes any decode() for the one that Python 2 strings had.
    innocent = ["--exclude", "str.decode(errors)"]
    session.run("vermin", "--quiet", f"--target={FLOOR}-", "--violations", *innocent, "plugins")
    if machine.FLOOR in PYTHONS:
        oldest = str(PYTHONS[machine.FLOOR])
        session.run(oldest, "-c", COMPILE_ALL, "plugins", external=True)


# compileall would leave byte code in the source tree.
COMPILE_ALL = """
import pathlib, sys
for path in pathlib.Path(sys.argv[1]).rglob("*.py"):
    compile(path.read_bytes(), str(path), "exec")
"""


@nox.session(python=PYTHON, tags=CHECKS)
def licences(session: nox.Session) -> None:
    """Every file says whose it is and under which terms."""
    install(session, "reuse")
    session.run("reuse", "lint", "--quiet")


@nox.session(python=PYTHON, tags=CHECKS)
def changelog(session: nox.Session) -> None:
    """The changelog fragments can be made into a changelog."""
    install(session, "antsibull-changelog", f"ansible-core=={NEWEST}.*")
    session.run("antsibull-changelog", "lint")


@nox.session(python=PYTHON, tags=CHECKS)
def docs(session: nox.Session) -> None:
    """The documentation of modules and roles is complete, and its references lead somewhere."""
    install(session, "antsibull-docs", f"ansible-core=={NEWEST}.*")
    with collection(session, "checks") as env:
        command = "antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=all"
        session.run(*command.split(), "--disallow-unknown-collection-refs", ".", env=env)


@nox.session(name="ansible-lint", python=PYTHON, tags=CHECKS)
def ansible_lint(session: nox.Session) -> None:
    """Roles, playbooks and examples meet the strictest profile of ansible-lint."""
    install(session, "ansible-lint", f"ansible-core=={NEWEST}.*")
    with collection(session, "checks") as env:
        session.run("ansible-lint", "--strict", "--offline", "--nocolor", env=env)


@contextmanager
def collection(session: nox.Session, name: str) -> Iterator[dict[str, str]]:
    """Work inside the copy of the collection; gives the environment Ansible's tools want there."""
    with tree.work_copy(name) as copy, session.chdir(copy):
        home = Path(session.create_tmp()) / "home"
        yield {
            "ANSIBLE_COLLECTIONS_PATH": str(copy.parents[2]),
            # A copy of the collection that some tool once put into the user's own folder would win.
            "ANSIBLE_HOME": str(home.absolute()),
            "PATH": os.pathsep.join([session.bin, *machine.search_path()]),
        }


def ansible_test(kind: str, core: str, *options: str) -> Callable[[nox.Session], None]:
    def run(session: nox.Session) -> None:
        install(session, f"ansible-core=={core}.*")
        words = session.posargs or options
        with tree.work_copy("checks") as copy, session.chdir(copy):
            env = ansible_test_environment(session)
            session.run("ansible-test", kind, "--color", "no", *words, env=env)

    run.__doc__ = f"ansible-test {kind} on ansible-core {core}."
    return run


def ansible_test_environment(session: nox.Session) -> dict[str, str]:
    """A home of its own, where ansible-test finds our get-pip, and a PATH with every Python."""
    home = machine.cache() / "home"
    put_get_pip(session, home / ".ansible/test/cache")
    for folder in (".cache", ".config"):
        share(Path.home() / folder, home / folder)
    places = [session.bin, *machine.search_path(), *(str(p.parent) for p in PYTHONS.values())]
    return {"HOME": str(home), "PATH": os.pathsep.join(dict.fromkeys(places)), "PIP_QUIET": "1"}


def put_get_pip(session: nox.Session, place: Path) -> None:
    found = Path(session.bin).parent.glob("lib/*/site-packages/ansible_test/_internal")
    requirements = (next(found) / "python_requirements.py").read_text()
    place.mkdir(parents=True, exist_ok=True)
    for version in re.findall(r"\bpip='([0-9.]+)'", requirements):
        name = f"get_pip_{version.replace('.', '_')}.py"
        shutil.copyfile(machine.ROOT / "tools/get_pip.py", place / name)


def share(folder: Path, link: Path) -> None:
    """pip keeps its settings and its downloads in the home of the user."""
    if folder.is_dir() and not link.is_symlink():
        link.symlink_to(folder)


for release, python in CORES.items():
    for kind, options in {"sanity": (), "units": ("--venv",), "integration": ("--venv",)}.items():
        session = nox.session(name=f"{kind}-{release}", python=str(python), tags=[*CHECKS, kind])
        session(ansible_test(kind, release, *options))
