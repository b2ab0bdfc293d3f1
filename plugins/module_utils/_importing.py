# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports the program from the archive that Ansible sends, compiling each part once.

Private to this collection. Python's own importer of archives compiles a module when it looks for
it and again when it loads it. There is no byte code in the archive, so that compiling is most of
what a task does that finds nothing to do.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from zipimport import zipimporter

PROGRAM = "ansible_collections.vfio.power.plugins.module_utils.vfio_power"


def compile_once(package=PROGRAM):
    """From now on import a package this way; what is not in an archive is left to Python."""
    sys.meta_path.insert(0, _Finder(package))


class _Finder:
    """Finder and loader of what is in one package."""

    def __init__(self, package):
        self._within = package + "."

    def find_spec(self, fullname, path=None, target=None):
        """Return where a part is, with its source, or None."""
        if not path or not fullname.startswith(self._within):
            return None
        place = f"{path[0]}/{fullname.rpartition('.')[2]}"
        archive = sys.path_importer_cache.get(path[0])
        if not isinstance(archive, zipimporter):
            return None
        for origin in (f"{place}.py", f"{place}/__init__.py"):
            try:
                source = archive.get_data(origin)
            except OSError:
                continue
            is_package = origin.endswith("/__init__.py")
            spec = ModuleSpec(
                fullname, self, origin=origin, loader_state=source, is_package=is_package
            )
            if is_package:
                spec.submodule_search_locations = [place]
            return spec
        return None

    def create_module(self, spec):
        """Have Python make the module."""

    def exec_module(self, module):
        """Compile and run a part."""
        spec = module.__spec__
        code = compile(spec.loader_state, spec.origin, "exec", dont_inherit=True)
        exec(code, module.__dict__)
