# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what Python compiles of a zip file, by its source; lab_byte_code.pth has each Python do so.

Ansible sends every task its modules as sources in a zip file, which Python compiles each time. On
an emulated processor that takes half the time of a task.
"""

import _imp
import marshal
import os
import sys
import zipimport

FOLDER = f"/var/cache/lab-byte-code/{sys.implementation.cache_tag}"
KEY = 0x6C6162
HASH = 8

_compile = zipimport._compile_source


def _kept(file):
    """Return the code in a file, if it is there and whole: a power cut leaves others."""
    try:
        with open(file, "rb") as opened:
            data = opened.read()
    except OSError:
        return None
    told, code = data[:HASH], data[HASH:]
    return marshal.loads(code) if told == _imp.source_hash(KEY, code) else None


def _keep(file, code):
    data = marshal.dumps(code)
    try:
        os.makedirs(FOLDER, exist_ok=True)
        unfinished = f"{file}.{os.getpid()}"
        with open(unfinished, "wb") as opened:
            opened.write(_imp.source_hash(KEY, data) + data)
        os.replace(unfinished, file)
    except OSError:
        pass  # not root, or in a sandbox


def _compile_source(path, source):
    file = f"{FOLDER}/{_imp.source_hash(KEY, source).hex()}"
    code = _kept(file)
    if code is None:
        code = _compile(path, source)
        _keep(file, code)
    else:
        _imp._fix_co_filename(code, path)
    return code


zipimport._compile_source = _compile_source
