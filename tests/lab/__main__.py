# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `lab` for Python; the verbs are in cli.py."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
