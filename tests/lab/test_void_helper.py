# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A helper that does nothing but says yes: the device tests have to fail on it, all of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

LAB = {"shape": "standard"}

SUITE = Path(__file__).with_name("test_main_job.py")
DROP_IN = "/run/systemd/system/vfio-powerd.service.d/void.conf"
UNIT = """[Service]
ExecStart=
ExecStart=/usr/bin/python3 -I -B /opt/void_helper.py
"""


def test_the_device_tests_fail_against_a_helper_that_does_nothing(main, collections):
    host = main
    host.lab.put(Path(__file__).with_name("void_helper.py"), "/opt/void_helper.py")
    host.lab.ssh(f"mkdir -p $(dirname {DROP_IN}) && cat > {DROP_IN}", input=UNIT)
    try:
        host.lab.ssh("systemctl daemon-reload && systemctl restart vfio-powerd.service")
        assert "void" in host.ctl("version").stdout
        ended = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                str(SUITE),
                "-k",
                "TestConverge or TestWake",
            ],
            env={
                **os.environ,
                "VFIO_POWER_LAB": host.lab.name,
                "VFIO_POWER_LAB_CONVERGED": "1",
                "VFIO_POWER_COLLECTIONS": str(collections),
            },
            cwd=SUITE.parents[2],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=900,
            check=False,
        )
    finally:
        host.lab.ssh(f"rm {DROP_IN}; systemctl daemon-reload; systemctl restart vfio-powerd")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert not re.search(r"\d+ passed", ended.stdout), ended.stdout
    assert re.search(r"\d+ (failed|error)", ended.stdout), ended.stdout
