# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program's own source, read back from what Ansible sent to the host.

Private to this collection. Ansible sends the files that are imported somewhere and no others, so
every part is named here once; a unit test keeps the list complete. Nothing of it is imported when
this runs, which would only cost time.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

PACKAGE = "ansible_collections.vfio.power.plugins.module_utils.vfio_power"

START_SCRIPT = """\
#!{python} -IB
# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from vfio_power.{module} import main

sys.exit(main({arguments}))
"""

COMMANDS = {
    "vfio-powerd": ("wait.daemon", ""),
    "vfio-powerctl": ("cli.main", "sys.argv[1:]"),
    "vfio-powerd-stop": ("cli.stop", ""),
}


def program_files() -> dict[str, str]:
    """Return the source of every part by its relative path."""
    package = importlib.import_module(PACKAGE)
    names = ["__init__.py"]
    for part in pkgutil.walk_packages(package.__path__, PACKAGE + "."):
        relative = part.name[len(PACKAGE) + 1 :].replace(".", "/")
        names.append(relative + ("/__init__.py" if part.ispkg else ".py"))
    return {
        f"vfio_power/{name}": (pkgutil.get_data(PACKAGE, name) or b"").decode("utf-8")
        for name in names
    }


def start_scripts(python: str) -> dict[str, str]:
    """Return the script that starts each command, by its name."""
    return {
        name: START_SCRIPT.format(python=python, module=module, arguments=arguments)
        for name, (module, arguments) in COMMANDS.items()
    }


def travels_along() -> tuple[ModuleType, ...]:
    """Name every part. Never called: that it stands here makes Ansible send it."""
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.ask import (
        answer,
        enforce,
        ground,
        low_power,
        low_power_info,
        outcome,
        ready,
        rows,
        settle,
        task,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.cli import (
        lend,
        listing,
        main,
        paint,
        pause,
        rearm,
        show,
        stage,
        stop,
        table,
        version,
        watch,
        who,
        woken,
        wording,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.cli import (
        why as cli_why,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold import (
        asks,
        bars,
        calls,
        errands,
        failures,
        goals,
        grip,
        grips,
        held_off,
        histories,
        holder,
        jobs,
        keeper,
        lending,
        lookout,
        marks,
        neighbours,
        pausing,
        permits,
        quarantine,
        recall,
        reporting,
        rounds,
        surroundings,
        waiting,
        windows,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold import (
        table as hold_table,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think import (
        chronicle,
        codes,
        deadlines,
        documents,
        drift,
        drift_around,
        drift_card,
        drift_case,
        drift_hold,
        drift_host,
        drift_policy,
        drift_power,
        entries,
        exposition,
        fields,
        interface,
        keepsakes,
        merge,
        metrics,
        parse,
        parse_digits,
        parse_match,
        parse_reentry,
        parse_rule,
        parse_values,
        paused,
        plan,
        policy,
        position,
        quirks,
        reentry,
        refusal,
        repeats,
        resolve,
        rivals,
        select,
        strict_json,
        trace,
        udev_rules,
        units,
        varlink,
        wakers,
        why_awake,
        why_not_deeper,
        wire,
        witness,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think import (
        host_policy as think_host_policy,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think import (
        why as think_why,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch import (
        attributes,
        backends,
        chronicles,
        client,
        device,
        distrust,
        document,
        eventfd,
        fdstore,
        files,
        graces,
        guests,
        helper,
        judging,
        kernel,
        leases,
        look,
        manager,
        marked,
        notify,
        openers,
        peer,
        positions,
        processes,
        procfs,
        records,
        refusals,
        sealed,
        standby,
        store,
        sysfs,
        textfile,
        tracing,
        udev,
        untraceable,
        view,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch import (
        host_policy as touch_host_policy,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch import (
        quirks as touch_quirks,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch import (
        rivals as touch_rivals,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.uapi import (
        ioctl,
        vfio,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait import (
        answers,
        around,
        boot,
        connection,
        daemon,
        holding_off,
        journal,
        loop,
        metering,
        patience,
        server,
        service,
        settings,
        slept,
        standing,
        steward,
        systemd,
        trust,
        workers,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words import (
        address,
        allowance,
        declaration,
        descriptor,
        errors,
        facts,
        history,
        mode,
        quirk,
        report,
        rival,
        waker,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words import (
        holder as words_holder,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words import (
        version as words_version,
    )
    from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words import (
        why as words_why,
    )

    return (
        answer,
        enforce,
        ground,
        low_power,
        low_power_info,
        outcome,
        ready,
        rows,
        settle,
        task,
        lend,
        listing,
        main,
        paint,
        pause,
        rearm,
        show,
        stage,
        stop,
        table,
        version,
        watch,
        who,
        woken,
        wording,
        cli_why,
        asks,
        bars,
        calls,
        errands,
        failures,
        goals,
        grip,
        grips,
        held_off,
        histories,
        holder,
        jobs,
        keeper,
        lending,
        lookout,
        marks,
        neighbours,
        pausing,
        permits,
        quarantine,
        recall,
        reporting,
        rounds,
        surroundings,
        hold_table,
        waiting,
        windows,
        chronicle,
        codes,
        deadlines,
        documents,
        drift,
        drift_around,
        drift_card,
        drift_case,
        drift_hold,
        drift_host,
        drift_policy,
        drift_power,
        entries,
        exposition,
        fields,
        think_host_policy,
        interface,
        keepsakes,
        merge,
        metrics,
        parse,
        parse_digits,
        parse_match,
        parse_reentry,
        parse_rule,
        parse_values,
        paused,
        plan,
        policy,
        position,
        quirks,
        reentry,
        refusal,
        repeats,
        resolve,
        rivals,
        select,
        strict_json,
        trace,
        udev_rules,
        units,
        varlink,
        wakers,
        think_why,
        why_awake,
        why_not_deeper,
        wire,
        witness,
        attributes,
        backends,
        chronicles,
        client,
        device,
        distrust,
        document,
        eventfd,
        fdstore,
        files,
        graces,
        guests,
        helper,
        touch_host_policy,
        judging,
        kernel,
        leases,
        look,
        manager,
        marked,
        notify,
        openers,
        peer,
        positions,
        processes,
        procfs,
        touch_quirks,
        records,
        refusals,
        touch_rivals,
        sealed,
        standby,
        store,
        sysfs,
        textfile,
        tracing,
        udev,
        untraceable,
        view,
        ioctl,
        vfio,
        answers,
        around,
        boot,
        connection,
        daemon,
        holding_off,
        journal,
        loop,
        metering,
        patience,
        server,
        service,
        settings,
        slept,
        standing,
        steward,
        systemd,
        trust,
        workers,
        address,
        allowance,
        declaration,
        descriptor,
        errors,
        facts,
        words_holder,
        history,
        mode,
        quirk,
        report,
        rival,
        words_version,
        waker,
        words_why,
    )
