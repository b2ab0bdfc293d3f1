# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sessions of the checks. `make help` lists the words people use, `nox --list` all sessions.

Every session can run alone. `make test` runs all that carry a lane tag, through tools/checks.py.
What each tool is for, and how to run a single test, is told in docs/development.md.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent))

from tools import ansible, machine, prometheus, tree

nox.options.envdir = machine.cache() / "nox"
nox.options.reuse_venv = "yes"
nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "types", "floor"]

PYTHONS = machine.pythons()
CORES = machine.cores(PYTHONS)
OLDEST, NEWEST = min(CORES), max(CORES)
PYTHON = str(CORES[NEWEST])
PROGRAM_PARENT = "plugins/module_utils"
PROGRAM = f"{PROGRAM_PARENT}/vfio_power"
REPORT = "plugins/plugin_utils/_report"
FLOOR = ".".join(map(str, machine.FLOOR))

# How often the soak repeats what unit tests do once.
LONGER = "40"

# Sessions of different lanes may run at the same time, sessions of one lane may not.
CHECKS = ["checks"]
LAB = ["lab"]

Run = Callable[[nox.Session], None]


def install(session: nox.Session, *packages: str) -> None:
    session.install("--quiet", "--constraint", "tools/constraints.txt", *packages)


def core(release: str) -> str:
    return f"ansible-core=={release}.*"


# Without running anything of ours


@nox.session(python=PYTHON, tags=CHECKS)
def lint(session: nox.Session) -> None:
    """Style and likely mistakes in Python, YAML and shell."""
    install(session, "ruff", "yamllint")
    session.run("ruff", "check", "--quiet")
    session.run("ruff", "format", "--quiet", "--check")
    session.run("yamllint", "--strict", ".")
    session.run("shellcheck", *shell_scripts(), external=True)


@nox.session(name="format", python=PYTHON)
def format_(session: nox.Session) -> None:
    """Rewrite the Python files, or those given, into the style that lint asks for."""
    install(session, "ruff")
    session.run("ruff", "check", "--fix-only", "--quiet", *session.posargs)
    session.run("ruff", "format", "--quiet", *session.posargs)


def shell_scripts() -> list[str]:
    files = sorted(tree.source_files(machine.ROOT))
    return [str(file) for file in files if is_shell(machine.ROOT / file)]


def is_shell(file: Path) -> bool:
    with file.open("rb") as opened:
        first = opened.readline(80)
    return re.match(rb"#!.*\b(ba)?sh\b", first) is not None


@nox.session(python=PYTHON, tags=CHECKS)
def types(session: nox.Session) -> None:
    """The program and the report, strictly typed, as Python 3.9 reads it; and the tools around."""
    install(session, "mypy", "nox")
    session.run("mypy", PROGRAM)
    session.run("mypy", REPORT)
    around = ["--python-version", "3.11", "--explicit-package-bases"]
    session.run("mypy", *around, "noxfile.py", "tools")


@nox.session(python=PYTHON, tags=CHECKS)
def floor(session: nox.Session) -> None:
    """Nothing under plugins/ needs a newer Python than the floor, in syntax or library."""
    install(session, "vermin")
    # vermin takes any decode() for the one that the strings of Python 2 had.
    innocent = ["--exclude", "str.decode(errors)"]
    session.run("vermin", "--quiet", f"--target={FLOOR}-", "--violations", *innocent, "plugins")
    if machine.FLOOR in PYTHONS:
        oldest = str(PYTHONS[machine.FLOOR])
        session.run(oldest, "-c", COMPILE_ALL, "plugins", external=True)


# The module compileall would leave byte code in the source tree.
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
def metrics(session: nox.Session) -> None:
    """Prometheus takes the metrics and the rules; alerts fire and clear when they should."""
    promtool = str(prometheus.program("promtool"))
    rules = "docs/example/prometheus/vfio-power.rules.yml"
    checked = f"set -o pipefail; python -B tests/metrics/sample.py | {promtool} check metrics"
    session.run("bash", "-c", checked, env={"PYTHONPATH": PROGRAM_PARENT}, external=True)
    session.run(promtool, "check", "rules", "--lint-fatal", rules, external=True)
    session.run(promtool, "test", "rules", "tests/metrics/rules.test.yml", external=True)


# As a collection


@nox.session(python=PYTHON, tags=CHECKS)
def changelog(session: nox.Session) -> None:
    """The changelog fragments can be made into a changelog."""
    install(session, "antsibull-changelog", core(NEWEST))
    session.run("antsibull-changelog", "lint")


@nox.session(python=PYTHON, tags=CHECKS)
def docs(session: nox.Session) -> None:
    """The documentation of modules and roles is complete, and its references lead somewhere."""
    install(session, "antsibull-docs", core(NEWEST))
    refs = ["--validate-collection-refs=all", "--disallow-unknown-collection-refs"]
    with ansible.collection(session) as env:
        session.run("antsibull-docs", "lint-collection-docs", "--plugin-docs", *refs, ".", env=env)


@nox.session(name="ansible-lint", python=PYTHON, tags=CHECKS)
def ansible_lint(session: nox.Session) -> None:
    """Roles, playbooks and examples meet the strictest profile of ansible-lint."""
    install(session, "ansible-lint", core(NEWEST))
    with ansible.collection(session) as env:
        session.run("ansible-lint", "--strict", "--offline", "--nocolor", env=env)


@nox.session(python=PYTHON, tags=CHECKS)
def build(session: nox.Session) -> None:
    """The collection can be built and installed, and Ansible knows what is installed."""
    install(session, core(NEWEST))
    with ansible.installed_collection(session, "checks") as place:
        env = {"ANSIBLE_COLLECTIONS_PATH": str(place)}
        session.run("ansible-doc", "--list", "vfio.power", env=env)


@nox.session(python=PYTHON, tags=CHECKS)
def report(session: nox.Session) -> None:
    """The report's page in a real browser, its JSON and its JUnit by their schemas."""
    session.run("tools/packages", "chromium", "chromium-driver", external=True)
    install(session, core(NEWEST), "pytest", "selenium", "jsonschema", "xmlschema")
    pytest = ["-m", "pytest", "-v", "-c", "/dev/null", "--rootdir", ".", "-p", "no:cacheprovider"]
    words = session.posargs or ["tests/report"]
    with ansible.collection(session) as env:
        env |= {
            "PYTHONPATH": env["ANSIBLE_COLLECTIONS_PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "VFIO_POWER_PICTURES": str(machine.cache() / "report-pictures"),
        }
        session.run("python", *pytest, "--import-mode=importlib", *words, env=env)


def ansible_test(kind: str, release: str, *options: str) -> Run:
    def run(session: nox.Session) -> None:
        install(session, core(release))
        words = [*session.posargs, *options]  # a word after --venv would be swallowed
        start = ansible.run_as_root if kind == "integration" else ansible.run
        with ansible.ansible_test(session, list(PYTHONS.values())) as env:
            start(session, env, "ansible-test", kind, "--color", "no", *words)

    run.__doc__ = f"ansible-test {kind} on ansible-core {release}."
    return run


for release, python in CORES.items():
    units = ["--venv", "--python", python.name.removeprefix("python")]
    for kind, options in {"sanity": [], "units": units, "integration": ["--venv"]}.items():
        declare = nox.session(name=f"{kind}-{release}", python=str(python), tags=[*CHECKS, kind])
        declare(ansible_test(kind, release, *options))

UNITS = [*CHECKS, "units"]


def units_by_pytest(session: nox.Session, *words: str, **more: str) -> None:
    install(session, "pytest", "hypothesis", "pyudev")
    pytest = ["-m", "pytest", "-c", "/dev/null", "--rootdir", ".", "-p", "no:cacheprovider"]
    pytest += ["-o", "testpaths=tests/unit", *words, *session.posargs]
    with ansible.collection(session, session.name) as env:
        env |= {"PYTHONPATH": env["ANSIBLE_COLLECTIONS_PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        session.run("python", *pytest, env=env | more)


def units_on_the_floor(session: nox.Session) -> None:
    """The unit tests of what runs on a host by the oldest Python, for the newest ansible-core."""
    # A controller needs a newer Python. Of ansible-core a host gets module_utils alone.
    ignoring = ["--no-deps", "--ignore-requires-python"]
    install(session, "pytest-xdist", "pyyaml")
    install(session, *ignoring, core(NEWEST))
    on_hosts = [f"tests/unit/plugins/{folder}" for folder in ("module_utils", "modules")]
    only = ["-o", f"testpaths={' '.join(on_hosts)}"]
    units_by_pytest(session, "--quiet", "--numprocesses", "2", *only)


def units_between(release: str) -> Run:
    def run(session: nox.Session) -> None:
        install(session, core(release), "pytest-xdist")
        units_by_pytest(session, "--quiet", "--numprocesses", "2")

    run.__doc__ = f"The unit tests by pytest alone, with ansible-core {release}."
    return run


# ansible-test makes a process for each test, which takes twice the time. It has seen both ends of
# ansible-core; the Pythons between see the releases between, and the oldest one is a host's.
for version, python in PYTHONS.items():
    fitting = machine.newest_core(version)
    name = python.name.removeprefix("python")
    declare = nox.session(name=f"units-{name}", python=str(python), tags=UNITS)
    if version == machine.FLOOR:
        declare(units_on_the_floor)
    elif python not in CORES.values() and fitting:
        declare(units_between(fitting))


# On a virtual host


@nox.session(name="lab-images", python=PYTHON, tags=LAB)
def lab_images(session: nox.Session) -> None:
    """Build what the virtual hosts boot from, as far as it is not in the cache."""
    for options in ([], ["--debian", "12"], ["--kernel", "iommufd"]):
        in_lab(session, "-m", "tests.lab", "build", *options)


@nox.session(python=PYTHON, tags=LAB)
def uapi(session: nox.Session) -> None:
    """The numbers and structures, against the header of the kernel that the virtual hosts run."""
    install(session, core(NEWEST))
    header = ["python", "-B", "-m", "tests.lab", "--quiet", "header"]
    folder = session.run(*header, silent=True, stderr=None)
    test = "tests/unit/plugins/module_utils/test_uapi.py"
    units_by_pytest(session, "-v", test, VFIO_POWER_HEADERS=str(folder).strip())


# Before the long step of its lane, as the other lane still has work for the second processor then.
@nox.session(python=PYTHON, tags=LAB)
def demo(session: nox.Session) -> None:
    """The demo, which checks what it shows."""
    install(session, core(NEWEST))
    in_lab(session, "-m", "tests.lab.demo", *session.posargs)


# In the order of tests/lab/conftest.py: one file has to be the first on its host.
SIDE_BY_SIDE = ["--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder"]


@nox.session(python=PYTHON, tags=LAB)
def lab(session: nox.Session) -> None:
    """The tests on virtual hosts, two files at a time, or those of the given words."""
    run_lab_tests(session, *(session.posargs or SIDE_BY_SIDE))


@nox.session(name="soak-unit", python=PYTHON)
def soak_unit(session: nox.Session) -> None:
    """The unit tests with long counts, and searching where they have not looked before."""
    install(session, core(NEWEST))
    units_by_pytest(session, "-v", "--durations=20", VFIO_POWER_SOAK=LONGER)


@nox.session(python=PYTHON)
def soak(session: nox.Session) -> None:
    """The long counts on virtual hosts, and variants of what the tests see once."""
    run_lab_tests(session, *session.posargs, marked="soak")


def run_lab_tests(session: nox.Session, *words: str, marked: str = "not soak") -> None:
    install(session, core(NEWEST), "pytest", "pytest-xdist", "jsonschema", "xmlschema")
    pytest = ["-m", "pytest", "-v", "-p", "no:cacheprovider", "--durations=10", "-m", marked]
    pytest += [f"--junitxml={machine.cache()}/times/{session.name}.xml"]
    with ansible.installed_collection(session, session.name) as collections:
        env = {
            "VFIO_POWER_COLLECTIONS": str(collections),
            "VFIO_POWER_OLDEST_ANSIBLE": str(oldest_ansible(session)),
        }
        in_lab(session, *pytest, *words, **env)


def oldest_ansible(session: nox.Session) -> Path:
    """The programs of the oldest ansible-core, for what has to be seen on both."""
    place = machine.cache() / f"ansible-{OLDEST}"
    if not (place / "bin/ansible").exists():
        session.run(str(CORES[OLDEST]), "-m", "venv", str(place), external=True)
        pip = [str(place / "bin/python"), "-m", "pip", "install", "--quiet"]
        session.run(*pip, core(OLDEST), external=True)
    return place / "bin"


def in_lab(session: nox.Session, *words: str, **env: str) -> None:
    """Run a Python program that starts labs. An interrupt leaves it the time to end them."""
    env |= {"PATH": ansible.search_path(session), "PYTHONDONTWRITEBYTECODE": "1"}
    session.run("python", *words, env=env, interrupt_timeout=60, terminate_timeout=20)


@nox.session(python=PYTHON)
def bench(session: nox.Session) -> None:
    """Speed and memory against their bounds."""
    run_benchmarks(session, *session.posargs)


# Not on a virtual host, and half a minute long.
@nox.session(name="bench-report", python=PYTHON, tags=CHECKS)
def bench_report(session: nox.Session) -> None:
    """The report of 10,000 hosts against its bounds, and how soon the page of 1,000 stands."""
    run_benchmarks(session, "--report")


def run_benchmarks(session: nox.Session, *words: str) -> None:
    session.run("tools/packages", "chromium", "chromium-driver", external=True)
    install(session, core(NEWEST), "selenium")
    in_lab(session, "-m", "benchmarks", *words)
