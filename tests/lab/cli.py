# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `lab`: the verbs a person types.  What they do is in host.py."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

from . import base, emulator, kernel, packages
from .host import Lab
from .plan import IDLE, KERNELS, TALKATIVE
from .progress import LabError, Progress
from .registry import prune, running_names
from .topology import SHAPES

ABOUT = """\
A virtual host with PCI devices on vfio-pci that really go to D3cold, made of Debian packages.
It needs a Debian machine and, to install what is missing, root or sudo."""

EXAMPLES = """\
examples:
  lab start                           Debian 13 with the standard cards; prints how to get in
  lab ssh -- lspci -nnk               run a command in it
  lab enter                           a shell in it
  lab start --debian 12 --name old    a second one beside it
  lab stop                            end it and remove every trace (--all: all of them)

shapes:
  standard   nic disk spare (D3cold), rng warm (D3hot), dual0 dual1 (two functions below one
             sleeping port), edu (no power management), vga (the boot display), bay (empty port)
  shifted    standard, and one more card in an earlier slot, so that bus numbers shift
  small      nic disk rng bay
  many       96 cards, rng00 to rng95"""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    progress = Progress(quiet=options.quiet)
    try:
        with signals_unwind():
            return int(VERBS[options.verb](options, progress) or 0)
    except LabError as error:
        sys.stderr.write(f"lab: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("lab: interrupted, and cleaned up\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("lab", None, ABOUT, EXAMPLES, formatter_class=plain)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    start = verbs.add_parser("start", help="boot a lab in the background")
    build = verbs.add_parser("build", help="build and cache what a start needs, boot nothing")
    verbs.add_parser("header", help="say where the kernel's <linux/vfio.h> can be included from")
    for verb in (start, build):
        verb.add_argument("--debian", choices=base.RELEASES, default="13")
        verb.add_argument("--kernel", choices=KERNELS, default="debian")
    start.add_argument("--shape", choices=SHAPES, default="standard")
    start.add_argument(
        "--idle",
        choices=IDLE,
        default="awake",
        help="awake: vfio-pci with disable_idle_d3=1, so that only what is held sleeps (default)",
    )
    start.add_argument("--vfio", metavar="CARDS", help="cards for vfio-pci, by commas; '' for none")
    start.add_argument(
        "--accel", choices=("tcg", "tcg-multi", "kvm"), help="kvm is tried, tcg is the default"
    )
    start.add_argument("--name", default="lab", help="default: %(default)s")

    enter = verbs.add_parser("enter", help="a shell in a lab")
    ssh = verbs.add_parser("ssh", help="run a command in a lab")
    logs = verbs.add_parser("logs", help="what a lab wrote to its console")
    stop = verbs.add_parser("stop", help="end a lab and remove it")
    for verb in (enter, ssh, logs, stop):
        verb.add_argument("--name", help="which lab; not needed while there is only one")
    ssh.add_argument("command", nargs="+", metavar="CMD")
    stop.add_argument("--all", action="store_true", help="all labs of this user")
    verbs.add_parser("list", help="the labs that run, and how to reach them")
    return parser


def _build(options: argparse.Namespace, progress: Progress) -> None:
    packages.ensure(packages.RUN, progress)
    emulator.obtain(progress)
    base.obtain(options.debian, progress)
    if options.kernel == "iommufd":
        kernel.obtain(progress)
    progress.note("Everything is in the cache.")


def _header(_options: argparse.Namespace, progress: Progress) -> None:
    sys.stdout.write(f"{kernel.header(progress)}\n")


def _start(options: argparse.Namespace, progress: Progress) -> None:
    cards = None if options.vfio is None else [card for card in options.vfio.split(",") if card]
    lab = Lab.start(
        shape=options.shape,
        debian=options.debian,
        kernel=options.kernel,
        idle=options.idle,
        name=options.name,
        on_vfio=cards,
        command_line=TALKATIVE,
        accel=options.accel,
        keep=True,
        progress=progress,
    )
    for name, address in sorted(lab.devices.items(), key=lambda row: row[1]):
        sys.stdout.write(f"{name:<8} {address}\n")
    sys.stdout.write(f"inventory {lab.inventory()}\n")


def _enter(options: argparse.Namespace, progress: Progress) -> None:
    lab = Lab.attach(_which(options), progress)
    command = lab.ssh_command()
    os.execvp(command[0], command)


def _ssh(options: argparse.Namespace, progress: Progress) -> int:
    lab = Lab.attach(_which(options), progress)
    return subprocess.run([*lab.ssh_command(), *options.command], check=False).returncode


def _logs(options: argparse.Namespace, progress: Progress) -> None:
    sys.stdout.write(Lab.attach(_which(options), progress).console_log)


def _stop(options: argparse.Namespace, progress: Progress) -> None:
    for name in running_names() if options.all else [_which(options)]:
        with progress.step(f"stop {name}"):
            Lab.attach(name, progress).stop()
    prune()


def _list(options: argparse.Namespace, progress: Progress) -> None:
    prune()
    for name in running_names():
        lab = Lab.attach(name, progress)
        about = "debian {0.debian}, kernel {0.kernel}, shape {0.shape}, idle {0.idle}"
        sys.stdout.write(f"{name}  {about.format(lab.plan)}, ssh port {lab.port}\n")


def _which(options: argparse.Namespace) -> str:
    if options.name:
        return str(options.name)
    names = running_names()
    if len(names) == 1:
        return names[0]
    if not names:
        raise LabError("No lab is running; `lab start` starts one.")
    raise LabError(f"Several labs are running; choose with --name: {', '.join(names)}")


@contextlib.contextmanager
def signals_unwind() -> Iterator[None]:
    """SIGTERM and SIGHUP end us as ctrl-C does: through every clean-up."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


VERBS = {
    "build": _build,
    "header": _header,
    "start": _start,
    "enter": _enter,
    "ssh": _ssh,
    "logs": _logs,
    "stop": _stop,
    "list": _list,
}
