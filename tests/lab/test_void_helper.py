# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A helper that does nothing but says yes: the device tests have to fail on it, all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

from .managed import ManagedHost

LAB = {"shape": "standard"}

HERE = Path(__file__).parent
MAIN_JOB = ("main_job",)
MORE = ("looking", "host_life", "hot_plug")
PROGRAM = "/opt/void_helper.py"
DROP_IN = "/run/systemd/system/vfio-powerd.service.d"
UNIT = f"""[Service]
ExecStart=
ExecStart=/usr/bin/python3 -I -B {PROGRAM}
ExecStop=
WatchdogSec=0
"""
DISBELIEF = ("assert", "AssertionError", "tests.lab.progress.LabError: Waited")
"""How a test says that something is not as it should be."""


@contextmanager
def void(host: ManagedHost) -> Iterator[None]:
    """Put the void helper in the place of the real one, which lets all go when it is stopped."""
    stop, start = (f"systemctl {verb} vfio-powerd.service" for verb in ("stop", "start"))
    host.lab.put(HERE / "void_helper.py", PROGRAM)
    host.lab.ssh(f"{stop}; mkdir {DROP_IN} && cat > {DROP_IN}/void.conf", input=UNIT)
    try:
        host.lab.ssh(f"systemctl daemon-reload && {start}")
        assert "void" in host.ctl("version").stdout
        yield
    finally:
        host.lab.ssh(f"{stop}; rm -r {DROP_IN} {PROGRAM}; systemctl daemon-reload && {start}")


@pytest.mark.parametrize("names", [MAIN_JOB, pytest.param(MORE, marks=pytest.mark.soak)])
def test_the_device_tests_fail_against_a_helper_that_does_nothing(
    main, collections, tmp_path, names
):
    """All but those that reboot, each in its own words and not in a fixture's."""
    report = tmp_path / "report.xml"
    suites = [str(HERE / f"test_{name}.py") for name in names]
    words = ["-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", f"--junitxml={report}"]
    with void(main):
        ended = subprocess.run(
            [sys.executable, *words, *suites, "-k", "not TestBoots"],
            env={
                **os.environ,
                "VFIO_POWER_LAB": main.lab.name,
                "VFIO_POWER_LAB_VOID": "1",
                "VFIO_POWER_COLLECTIONS": str(collections),
            },
            cwd=HERE.parents[1],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=900,
            check=False,
        )
    outcomes = {
        case.get("name"): outcome(case) for case in ElementTree.parse(report).iter("testcase")
    }
    assert len(outcomes) > 8, ended.stdout
    believers = {name: how for name, how in outcomes.items() if not how.startswith(DISBELIEF)}
    assert not believers, ended.stdout


def outcome(case: ElementTree.Element) -> str:
    """How a test failed in its body; otherwise what became of it."""
    if case.find("error") is not None:
        return "failed outside of its body"
    failure = case.find("failure")
    return "passed" if failure is None else str(failure.get("message"))
