#!/usr/bin/python
# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# No future import: see plugins/module_utils/_module.py.

DOCUMENTATION = r"""
module: helper_code
short_description: Install the program of the vfio.power helper
version_added: 0.1.0
description:
  - Writes the helper's program, which is the very code that the modules of this collection run,
    into a folder of its version below O(path), and switches the link C(current) there to it.
  - Writes the files and links around it that are asked for, such as the service's units.
  - Where one of them is C(/usr/local/lib/systemd/catalog/vfio-powerd.catalog), the journal is told
    of it, and told again when it is removed.
  - Keeps a list of all that it wrote, so that O(state=absent) takes away that and nothing else.
  - Remembers for as long as the host is up that the helper has to be restarted to run what was
    written. With O(state=started) it is restarted and seen in the same go.
  - Keeps what was installed before until then. If what took its place does not come up, it is put
    back by itself and the helper is restarted with it.
  - Writes nothing where O(python) lacks what the program imports. RV(missing) tells what that is.
  - Made for the role P(vfio.power.helper#role), which is what you want to use. It is not in the
    action group of the other modules.
requirements:
  - Python 3.9 or newer on the host
  - root on the host
author:
  - The vfio.power authors (@ansible-collections)
extends_documentation_fragment:
  - vfio.power.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) installs, V(absent) removes all that was installed.
      - V(started) installs as V(present) does. Then it starts the service where it does not run,
        restarts it where that is due, and sees that the helper of the installed version answers,
        and holds what was held before. No device notices a restart. Nothing is started where
        something is RV(missing).
      - If that is not so, V(started) puts back what was installed before, restarts the service with
        it, and fails with the last lines of the helper's journal.
    type: str
    choices: [present, started, absent]
    default: present
  python:
    description:
      - The Python that runs the helper, at least 3.9.
      - It is asked for its version and for what O(imports) lists.
    type: path
    default: /usr/bin/python3
  imports:
    description:
      - Python packages that O(python) has to be able to import before anything is written.
      - Those it cannot are returned as RV(missing).
    type: list
    elements: str
    default: [pyudev]
  files:
    description:
      - Text files to write besides the program.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where the file belongs.
        type: path
        required: true
      content:
        description: What is in it. One newline ends it, whether given or not.
        type: str
        required: true
      restart:
        description: Whether the helper has to be restarted when this file was written.
        type: bool
        default: false
  quirks:
    description:
      - What devices of this host are known not to take, besides what the program knows by itself.
      - Each has C(address) or C(match), as O(vfio.power.low_power#module:devices) has them but
        without V(property), then C(quirk), which is V(no-hold), V(no-reentry) or V(no-d3cold),
        and C(reason) and C(source), which are shown to people, of at most 256 letters.
      - They are checked with everything that is wrong told at once, and written to
        C(/etc/vfio-power/quirks.d/50-playbook.json), for which the helper has to be restarted. An
        empty list removes that file.
    type: list
    elements: raw
    default: []
  links:
    description:
      - Symbolic links to make.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where the link belongs.
        type: path
        required: true
      target:
        description: Where it points.
        type: path
        required: true
  also_remove:
    description:
      - Files, links and folders to remove as well with O(state=absent), such as what the helper
        stored.
      - Those that were installed are known from the list of them. Naming them here removes them
        also where that list was lost.
      - Where C(/var/lib/vfio-power) is among them, the host policy that was found of each device is
        written back before.
    type: list
    elements: path
    default: []
  path:
    description:
      - The folder of the program.
    type: path
    default: /usr/local/lib/vfio-power
  root:
    description:
      - Where the host's root folder is seen from here. All paths are below it; O(python) is not.
      - A helper below another root cannot be O(state=started).
    type: path
    default: /
seealso:
  - module: vfio.power.low_power
  - module: vfio.power.low_power_info
"""

EXAMPLES = r"""
- name: Install the program and a unit, and have the helper run it, or what was installed before
  vfio.power.helper_code:
    state: started
    files:
      - path: /etc/systemd/system/vfio-powerd.socket
        content: "{{ lookup('ansible.builtin.template', 'vfio-powerd.socket.j2') }}"
        restart: true
      - path: /etc/systemd/system/vfio-powerd.service
        content: "{{ lookup('ansible.builtin.template', 'vfio-powerd.service.j2') }}"
        restart: true
    links:
      - path: /usr/local/sbin/vfio-powerctl
        target: /usr/local/lib/vfio-power/current/vfio-powerctl
  register: helper
  failed_when: helper is failed or helper.missing | length > 0

- name: Remove it and what it stored
  vfio.power.helper_code:
    state: absent
    also_remove:
      - /var/lib/vfio-power
      - /run/vfio-power
"""

RETURN = r"""
problems:
  description: Everything that is wrong with O(quirks).
  returned: when they were refused
  type: list
  elements: dict
  contains:
    place:
      description: Where it is wrong.
      returned: always
      type: str
      sample: quirks[0].reason
    message:
      description: What is wrong, and what would be right.
      returned: always
      type: str
      sample: null is not text; put quotes around text
version:
  description: The version of the program.
  returned: success
  type: str
  sample: 0.1.0
program:
  description: The folder of the program.
  returned: success
  type: str
  sample: /usr/local/lib/vfio-power/0.1.0
changed_paths:
  description: What was written or removed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - /etc/systemd/system/vfio-powerd.service
    - /usr/local/lib/vfio-power/0.1.0
restart_due:
  description:
    - Whether the helper has to be restarted to run what is installed, because its program or a file
      with O(files[].restart) was written by this run, or by an earlier one that was not followed by
      O(state=started).
    - A boot starts the helper anew, so that nothing of an earlier boot is due.
  returned: with O(state=present), if nothing is missing
  type: bool
  sample: false
restarted:
  description: Whether the service was started or restarted, or would be in check mode.
  returned: with O(state=started), if nothing is missing
  type: bool
  sample: true
put_back:
  description:
    - Whether what was installed before is installed again and was seen to run.
  returned: with O(state=started), when the helper did not come up
  type: bool
  sample: true
journal:
  description: The last lines that the helper wrote which did not come up.
  returned: with O(state=started), when the helper did not come up
  type: list
  elements: str
  sample:
    - "ImportError: cannot import name 'Loop'"
python_version:
  description: The version of the Python that runs the helper.
  returned: with O(state=present) and O(state=started)
  type: str
  sample: 3.13.5
missing:
  description: Those of O(imports) that O(python) cannot import, so that nothing was written.
  returned: with O(state=present) and O(state=started)
  type: list
  elements: str
  sample: [pyudev]
"""

import json
import os
import signal

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vfio.power.plugins.module_utils._module import (
    FLOOR,
    fail_at,
    require_python,
)

QUESTION = """\
import importlib.util, json, sys
missing = [name for name in sys.argv[1:] if not importlib.util.find_spec(name)]
print(json.dumps([sys.version_info[:3], missing]))
"""


def ask_python(module):
    """Return the version of the chosen Python and what it cannot import; refuse an old one."""
    python = module.params["python"]
    command = [python, "-I", "-c", QUESTION, *module.params["imports"]]
    complaint = ""
    try:
        _status, answer, complaint = module.run_command(command, handle_exceptions=False)
        version, missing = json.loads(answer)
    except (OSError, ValueError) as error:
        module.fail_json(
            msg=f"python: {python} cannot be run as a Python interpreter: "
            f"{complaint.strip() or error}. Name one that is installed on this host."
        )
    text = ".".join(str(part) for part in version)
    if tuple(version[:2]) < FLOOR:
        floor = ".".join(map(str, FLOOR))
        module.fail_json(
            msg=f"python: the helper needs Python {floor} or newer, but {python} is Python {text}. "
            "Name a newer one that is installed on this host."
        )
    return text, missing


QUIRKS = "/etc/vfio-power/quirks.d/50-playbook.json"


def quirk_files(rows):
    """Return the file that has the quirks of the playbook, or none; refuse what makes no sense."""
    from ansible_collections.vfio.power.plugins.module_utils._files import File
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.quirks import (
        read_quirks,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
        InputError,
    )

    problems = []
    read_quirks(rows, "quirks", problems)
    if problems:
        raise InputError(problems)
    return [File(QUIRKS, json.dumps(rows, indent=2, sort_keys=True) + "\n")] if rows else []


def install(module, installation):
    """Install what the task asks for, and have the helper run it if that is asked for too.

    Both in one go: no time passes in which the host has a new program that nobody has seen run.
    """
    quirks = quirk_files(module.params["quirks"])
    python_version, missing = ask_python(module)
    facts = {"python_version": python_version, "missing": missing}
    if missing:
        return [], facts
    installed = write_files(module, installation, quirks)
    if module.params["state"] == "present":
        return installed.changes, {**facts, "restart_due": installed.restart_due}
    changes, restarted = start(module, installation, installed)
    return [*installed.changes, *changes], {**facts, "restarted": restarted}


def write_files(module, installation, quirks):
    """Write the program with the files and links of the task."""
    from ansible_collections.vfio.power.plugins.module_utils._files import File, Link
    from ansible_collections.vfio.power.plugins.module_utils._installation import Wanted
    from ansible_collections.vfio.power.plugins.module_utils._program import (
        program_files,
        start_scripts,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.version import VERSION

    program = {path: File(path, text) for path, text in program_files().items()}
    for name, text in start_scripts(module.params["python"]).items():
        program[name] = File(name, text, 0o755)
    files = module.params["files"]
    wanted = Wanted(
        VERSION,
        program,
        [File(it["path"], it["content"].rstrip("\n") + "\n") for it in files] + quirks,
        [Link(link["path"], link["target"]) for link in module.params["links"]],
        restart_for=[QUIRKS, *(file["path"] for file in files if file["restart"])],
    )
    installed = installation.install(wanted, write=not module.check_mode)
    if not module.check_mode:
        if installed.changes:
            compile_program(module, VERSION)
        bring_catalog_up_to_date(module)
    return installed


def start(module, installation, installed):
    """Have the helper run what is installed, or put back what was there before and fail."""
    from ansible_collections.vfio.power.plugins.module_utils._service import Service
    from ansible_collections.vfio.power.plugins.module_utils._upgrade import DidNotComeUp, Upgrade
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.version import VERSION

    service = Service(module.run_command)
    if module.check_mode and installed.changes:
        later = installation.seen(write=False, version=VERSION)
        return news(installation, installed, later), installed.restart_due or not service.active
    upgrade = Upgrade(installation, service, lambda version: make_ready(module, version))
    try:
        started = upgrade.bring_up(write=not module.check_mode)
    except DidNotComeUp as error:
        module.fail_json(msg=str(error), journal=error.journal, put_back=error.put_back)
    return news(installation, installed, started.changes), started.restarted


def news(installation, installed, changes):
    """Return what changes once the helper was seen, without what this very task had to note."""
    if not installed.changes:
        return changes
    told = {change.path for change in installed.changes}
    return [it for it in changes if it.path not in told and not installation.is_a_note(it.path)]


def see_that_it_can_start(module):
    """Refuse a root that is not the host's, and let no lost connection end it half way."""
    if module.params["root"] != "/":
        module.fail_json(
            msg=f"root: {module.params['root']} is not the root of the running host, so the helper"
            " in it cannot be started. Leave root out, or enable the helper by its links alone."
        )
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def make_ready(module, version):
    """Do what the host needs for the program of a version that was just written."""
    compile_program(module, version)
    bring_catalog_up_to_date(module)


def put_policy_back(module):
    """Leave the devices as they were found, before what was found is forgotten."""
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.ask.enforce import put_back
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.host_policy import (
        FOLDER,
        PolicyFiles,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.sysfs import Sysfs

    if module.params["root"] == "/" and FOLDER in module.params["also_remove"]:
        for complaint in put_back(PolicyFiles(), Sysfs()):
            module.warn(complaint)


def bring_catalog_up_to_date(module):
    """Have the journal explain the entries of the helper that is installed, and no others.

    That is for people who read it; the helper does not need it.
    """
    from pathlib import Path

    from ansible_collections.vfio.power.plugins.module_utils._catalog import is_outdated, remaking

    if not is_outdated(Path(module.params["root"])):
        return
    try:
        status, _output, complaint = module.run_command(
            remaking(module.params["root"]), handle_exceptions=False
        )
    except OSError as error:
        status, complaint = 1, str(error)
    if status:
        module.warn(f"The catalog of the journal could not be updated: {complaint.strip()}")


def compile_program(module, version):
    """Compile ahead for the chosen Python: the program itself never writes to its folder.

    A start takes half the time then. Sources are compared by hash, so an edited one still counts.
    """
    from pathlib import Path

    from ansible_collections.vfio.power.plugins.module_utils._files import sync_tree

    root = module.params["root"].rstrip("/")
    folder = f"{root}{module.params['path']}/{version}"
    compileall = ["compileall", "-q", "--invalidation-mode", "checked-hash", folder]
    module.run_command([module.params["python"], "-I", "-m", *compileall])
    sync_tree(Path(folder))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["present", "started", "absent"],
                "default": "present",
            },
            "python": {"type": "path", "default": "/usr/bin/python3"},
            "imports": {"type": "list", "elements": "str", "default": ["pyudev"]},
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "content": {"type": "str", "required": True},
                    "restart": {"type": "bool", "default": False},
                },
            },
            "quirks": {"type": "list", "elements": "raw", "default": []},
            "links": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "target": {"type": "path", "required": True},
                },
            },
            "also_remove": {"type": "list", "elements": "path", "default": []},
            "path": {"type": "path", "default": "/usr/local/lib/vfio-power"},
            "root": {"type": "path", "default": "/"},
        },
        supports_check_mode=True,
    )
    require_python(module)
    # With a stricter one the folders that have to be made would be closed to all but root.
    os.umask(0o022)
    from pathlib import Path

    from ansible_collections.vfio.power.plugins.module_utils._installation import Installation
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
        InputError,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.version import VERSION

    installation = Installation(Path(module.params["path"]), Path(module.params["root"]))
    write = not module.check_mode
    facts = {}
    try:
        if module.params["state"] == "absent":
            if write:
                put_policy_back(module)
            changes = installation.uninstall(module.params["also_remove"], write=write)
            if write:
                bring_catalog_up_to_date(module)
        else:
            if module.params["state"] == "started":
                see_that_it_can_start(module)
            changes, facts = install(module, installation)
    except InputError as error:
        problems = [problem._asdict() for problem in error.problems]
        module.fail_json(msg=f"Refused, and nothing was changed: {error}", problems=problems)
    except OSError as error:
        fail_at(module, error)
    result = {
        "changed": bool(changes) or facts.get("restarted", False),
        "version": VERSION,
        "program": str(Path(module.params["path"]) / VERSION),
        "changed_paths": [change.path for change in changes],
    }
    result.update(facts)
    if module._diff:
        result["diff"] = [
            {
                "before_header": change.path,
                "after_header": change.path,
                "before": change.before,
                "after": change.after,
            }
            for change in changes
        ]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
