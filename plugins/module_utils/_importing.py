# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports the program from the archive that Ansible sends, compiling each part once, or not at all.

Private to this collection. Python's own importer of archives compiles a module when it looks for
it and again when it loads it. There is no byte code in the archive, so that compiling would be
most of what a task does that finds nothing to do. On a host with the helper there is the byte code
of its program: of each part that is the same there, by its hash, that is used.
"""

from __future__ import annotations

import marshal
import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from pkgutil import get_importer
from zipimport import zipimporter

PROGRAM = "ansible_collections.vfio.power.plugins.module_utils.vfio_power"
INSTALLED = "/usr/local/lib/vfio-power/current/vfio_power"

_CHECKED_HASH = (3).to_bytes(4, "little")
_HEADER = 16  # bytes: Python's number, what the next field is, and that, a hash of the source
_WRITABLE_BY_OTHERS = 0o022


def compile_once(package=PROGRAM, installed=INSTALLED):
    """From now on import a package this way; what is not in an archive is left to Python."""
    sys.meta_path.insert(0, _Finder(package, installed))


class _Finder:
    """Finder and loader of what is in one package, of which a copy may be installed."""

    def __init__(self, package, installed):
        self._within = package + "."
        self._installed = installed

    def find_spec(self, fullname, path=None, target=None):
        """Return where a part is, with its source, or None."""
        if not path or not fullname.startswith(self._within):
            return None
        place = f"{path[0]}/{fullname.rpartition('.')[2]}"
        archive = get_importer(path[0])
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
        """Run a part, compiled now or before."""
        spec = module.__spec__
        below = spec.name[len(self._within) :].replace(".", "/")
        if spec.submodule_search_locations is not None:
            below += "/__init__"
        code = _compiled(f"{self._installed}/{below}.py", spec.loader_state)
        if code is None:
            code = compile(spec.loader_state, spec.origin, "exec", dont_inherit=True)
        exec(code, module.__dict__)


def _compiled(path, source):
    """Return the byte code of a file, if it was made from this source, by whom we can trust."""
    try:
        with open(cache_from_source(path), "rb") as file:
            about = os.fstat(file.fileno())
            content = file.read()
    except (OSError, NotImplementedError):
        return None
    if about.st_uid not in (0, os.geteuid()) or about.st_mode & _WRITABLE_BY_OTHERS:
        return None
    if content[:_HEADER] != MAGIC_NUMBER + _CHECKED_HASH + source_hash(source):
        return None
    try:
        return marshal.loads(content[_HEADER:])
    except (EOFError, ValueError, TypeError):  # cut off
        return None
