# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands in for the get-pip script that ansible-test downloads from a server of its own.

ansible-test makes its environments without pip and then runs this script with the arguments
``pip==X`` and some more. Every Python already carries a pip wheel for ``ensurepip``, so that one
installs the wanted version, and the package index is the only server the checks need.
noxfile.py puts a copy where ansible-test looks first.
"""

from __future__ import annotations

import ensurepip
import sys
from pathlib import Path

# Debian takes the wheels out of ensurepip and keeps them in a folder of its own.
PLACES = [Path(ensurepip.__file__).parent / "_bundled", Path("/usr/share/python-wheels")]
NOT_FOR_PIP = {"--no-setuptools", "--no-wheel"}


def main() -> int:
    wheels = [wheel for place in PLACES for wheel in place.glob("pip-*.whl")]
    if not wheels:
        sys.stderr.write("No pip wheel here. On Debian, install the package python3-venv.\n")
        return 1
    sys.path.insert(0, str(wheels[0]))
    from pip._internal.cli.main import main as pip

    return pip(["install", *(word for word in sys.argv[1:] if word not in NOT_FOR_PIP)])


if __name__ == "__main__":
    sys.exit(main())
