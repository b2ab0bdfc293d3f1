# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module does with AnsibleModule before the program is imported.

Private to this collection. No future import and no new syntax here and in the modules: an old
interpreter has to be able to read them, or it could not say that it is too old.
"""

import errno
import os
import sys

from ansible.module_utils.common.respawn import (
    has_respawned,
    probe_interpreters_for_module,
    respawn_module,
)

FLOOR = (3, 9)

NEXT_STEPS = {
    errno.ENOSPC: "Make room on that file system",
    errno.EDQUOT: "Make room on that file system",
    errno.EROFS: "Make that file system writable",
    errno.EACCES: "Set become: true",
    errno.EPERM: "Set become: true, or look for an immutable file with lsattr",
}


def require_python(module) -> None:
    """Leave with a sentence when the interpreter is too old for the program."""
    if sys.version_info >= FLOOR:
        return
    floor = ".".join(map(str, FLOOR))
    seen = sys.version.split()[0]
    module.fail_json(
        msg=f"vfio.power needs Python {floor} or newer on the host, but {sys.executable} is Python"
        f" {seen}. Set ansible_python_interpreter for this host to a newer one."
    )


def require_root(module) -> None:
    """Leave with a sentence when somebody else than root asks for a change."""
    user = os.geteuid()
    if user != 0:
        module.fail_json(
            msg=f"This has to be done as root, and was tried as user {user}. Nothing was changed."
            " Set become: true."
        )


def next_step(error) -> str:
    """Return what somebody can do about a path that could not be read, written or removed."""
    return NEXT_STEPS.get(error.errno, "Find out what is wrong with it")


def fail_at(module, error) -> None:
    """Leave with a sentence on a path that could not be read, written or removed."""
    place = error.filename or "A file whose name is not known"
    module.fail_json(
        msg=f"{place}: {error.strerror or error}. What comes after it was left as it is."
        f" {next_step(error)}, then run the task again: it goes on from there."
    )


def answer_or_fail(module, ask) -> None:
    """Return what was asked for; every error of the program ends as a sentence."""
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
        InputError,
        VfioPowerError,
    )

    try:
        answer = ask()
    except InputError as error:
        problems = [problem._asdict() for problem in error.problems]
        module.fail_json(
            msg=f"Refused, and nothing was changed: {error}",
            problems=problems,
        )
    except VfioPowerError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        fail_at(module, error)
    except ImportError as error:
        _run_again_where_pyudev_is(module, error)
    for warning in answer.warnings:
        module.warn(warning)
    if not module._diff:
        answer.result.pop("diff", None)
    if answer.failure:
        module.fail_json(msg=answer.failure, **answer.result)
    module.exit_json(**answer.result)


def _run_again_where_pyudev_is(module, error) -> None:
    """Start the module anew with the distribution's Python, once."""
    if not has_respawned():
        python = probe_interpreters_for_module(["/usr/bin/python3"], "pyudev")
        if python:
            respawn_module(python)
    module.fail_json(
        msg=f"A match by property needs pyudev, and neither {sys.executable} nor /usr/bin/python3"
        f" can import it ({error}). Nothing was changed. Install the package python3-pyudev."
    )
