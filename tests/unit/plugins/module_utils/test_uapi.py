# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""uapi/ says what the kernel's header says: numbers, sizes and offsets, asked of a C compiler."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.uapi import vfio

from .fake import uapi

HEADERS = os.environ.get("VFIO_POWER_HEADERS")
"""Where to include a newer <linux/vfio.h> from than this machine has."""
COMPILER = shutil.which("cc") or shutil.which("gcc")
HEADER = Path("/usr/include/linux/vfio.h")

pytestmark = [
    pytest.mark.skipif(not (COMPILER or HEADERS), reason="there is no C compiler (gcc) to ask"),
    pytest.mark.skipif(
        not (HEADERS or HEADER.exists()), reason=f"there is no {HEADER} (linux-libc-dev)"
    ),
]

# A machine's headers may be older than Linux 6.6, and lack the devices' own nodes. With HEADERS
# nothing is left to this.
PROLOGUE = r"""
#include <stddef.h>
#include <stdio.h>
#include <linux/vfio.h>
#if !defined VFIO_DEVICE_BIND_IOMMUFD && !defined HEADERS
struct vfio_device_bind_iommufd { __u32 argsz; __u32 flags; __s32 iommufd; __u32 out_devid; };
#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
#endif
#define NUMBER(name) printf("%s %lld\n", #name, (long long)(name))
#define SIZE(s) printf("sizeof(%s) %zu\n", #s, sizeof(struct s))
#define FIELD(s, f) printf("%s.%s %zu %zu\n", #s, #f, offsetof(struct s, f), \
                           sizeof(((struct s *)0)->f))
int main(void) {
"""


def numbers() -> dict[str, int]:
    """The names in capitals. VFIO_TYPE is a character."""
    said = {**vars(vfio), **vars(uapi)}
    found = {name: value for name, value in said.items() if name.startswith("VFIO_")}
    return {name: ord(v) if isinstance(v, str) else v for name, v in found.items()}


def structures() -> list[type[ctypes.Structure]]:
    """The structures, by the names they have in C."""
    found = vars(vfio).values()
    return [it for it in found if isinstance(it, type) and issubclass(it, ctypes.Structure)]


def what_python_says() -> list[str]:
    said = [f"{name} {value}" for name, value in numbers().items()]
    for structure in structures():
        name = structure.__name__
        said.append(f"sizeof({name}) {ctypes.sizeof(structure)}")
        for field, *_type in structure._fields_:
            at = getattr(structure, field)
            said.append(f"{name}.{field} {at.offset} {at.size}")
    return said


def what_c_says(folder: Path) -> list[str]:
    lines = [f"NUMBER({name});" for name in numbers()]
    for structure in structures():
        lines.append(f"SIZE({structure.__name__});")
        lines += [f"FIELD({structure.__name__}, {field});" for field, *_t in structure._fields_]
    source, program = folder / "uapi.c", folder / "uapi"
    source.write_text(PROLOGUE + "\n".join(lines) + "\nreturn 0; }\n")
    # In the kernel's tree it has not been installed yet: that takes the word __user out.
    newer = ["-DHEADERS", "-D__user=", f"-I{HEADERS}"] if HEADERS else []
    compile_it = [str(COMPILER), "-Wall", "-Werror", *newer, "-o", str(program), str(source)]
    compiled = subprocess.run(compile_it, capture_output=True, text=True, check=False)
    assert compiled.returncode == 0, compiled.stderr
    return subprocess.run(
        [str(program)], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_numbers_sizes_and_offsets_are_the_kernels(tmp_path: Path) -> None:
    assert what_python_says() == what_c_says(tmp_path)


def test_there_is_something_to_compare() -> None:
    assert len(numbers()) > 20
    assert {it.__name__ for it in structures()} >= {
        "vfio_device_feature",
        "vfio_device_low_power_entry_with_wakeup",
        "vfio_device_bind_iommufd",
    }
