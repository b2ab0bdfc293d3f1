# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules say of themselves."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.vfio.power.plugins.module_utils import _module

COLLECTION = Path(_module.__file__).parents[2]


def returned_by(module: str) -> dict[str, Any]:
    """Return what the documentation says that a module returns."""
    path = COLLECTION / "plugins" / "modules" / f"{module}.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "RETURN":
            return yaml.safe_load(node.value.value)
    raise AssertionError(f"{module} documents no return values")
