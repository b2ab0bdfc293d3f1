# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``vfio-powerctl``: its arguments, and which part answers to which word."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Callable, Optional, TextIO

from ..touch.udev import described
from ..words.address import PciAddress
from ..words.errors import HelperUnreachable, VfioPowerError
from ..words.holder import parse_holder
from . import lend, listing, pause, rearm, show, version, watch, why
from .paint import Paint, wanted
from .stage import DONE, REFUSED, UNREACHABLE, Stage, Surroundings

Command = Callable[[Stage, argparse.Namespace], int]

NARROW = 80  # columns, where there is no screen
PROGRAM = "vfio-powerctl"


def main(argv: Sequence[str]) -> int:
    """Run the command with its arguments (without its name); return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a name must not stop us in a small locale
    try:
        return run(argv, Surroundings(describe=described), sys.stdout, sys.stderr, os.environ)
    except BrokenPipeError:
        # The reader has seen enough. Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return REFUSED


def run(
    argv: Sequence[str],
    around: Surroundings,
    out: TextIO,
    err: TextIO,
    environ: Mapping[str, str],
) -> int:
    """Run the command in given surroundings."""
    try:
        options = _parsed(argv)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else REFUSED
    paint = Paint(on=wanted(out, environ) and not options.json)
    stage = Stage(around, out, err, paint, _width(environ), as_json=options.json)
    command: Command = options.command
    try:
        return command(stage, options)
    except HelperUnreachable as error:
        stage.remark_error(error)
        return UNREACHABLE
    except VfioPowerError as error:
        stage.remark_error(error)
        return REFUSED


def _width(environ: Mapping[str, str]) -> int:
    """Return how wide the screen is."""
    columns = environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(1).columns or NARROW
    except OSError:
        return NARROW


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        formatter_class=_help,
        description="Shows and hands over the PCI devices that vfio.power keeps in low power.",
        epilog="Exit status: 0 done; 1 refused, or drift with --check; 2 usage; 3 no helper, or"
        " drift unknown with --check.",
    )
    words = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, prog=PROGRAM)
    common = argparse.ArgumentParser(add_help=False, formatter_class=_help)
    common.add_argument("--json", action="store_true", help="print JSON")

    def word(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        sub = words.add_parser(
            name, parents=[common], help=text, description=f"{text}.", formatter_class=_help
        )
        sub.set_defaults(command=command)
        return sub

    _add_check(word("list", listing.run, "Print a table of all devices"))
    showing = word("show", show.run, "Print all that is known of one device")
    showing.add_argument("address", metavar="ADDRESS", type=_address)
    _add_check(showing)
    asking = word("why", why.run, "Print why a device is awake, or not deeper asleep")
    asking.add_argument("address", metavar="ADDRESS", type=_address)
    _add_check(asking)
    watching = word("watch", watch.run, "Print what happens to the devices, until Ctrl-C")
    watching.add_argument("--who", action="store_true", help="name the process that wakes a device")
    releasing = word("release", lend.release, "Let devices go, and give them to a holder")
    releasing.add_argument("addresses", metavar="ADDRESS", nargs="*", type=_address)
    releasing.add_argument("--all", action="store_true", help="all that is declared or held")
    releasing.add_argument(
        "--holder",
        metavar="NAME",
        type=_holder,
        help=f"who gets them; with --all it may be left out, and is {lend.WHOEVER_ASKS_FOR_ALL}",
    )
    releasing.add_argument(
        "--ttl", metavar="SECONDS", type=_seconds, help="end of the lease; else the next boot"
    )
    reclaiming = word("reclaim", lend.reclaim, "End a lease, and take the devices back now")
    _add_addresses(reclaiming)
    reclaiming.add_argument(
        "--holder", metavar="NAME", type=_holder, help="whose lease; not needed if there is one"
    )
    _add_addresses(word("rearm", rearm.run, "Let devices sleep once more that a quirk keeps awake"))
    clearing = word("clear", lend.clear, "Let devices out of quarantine, and take them")
    _add_addresses(clearing)
    word("pause", pause.pause, "Let everything go and take nothing, also after a boot")
    word("resume", pause.resume, "End the pause, and take what is declared")
    word("version", version.run, "Print the versions of command and helper")
    return parser


def _help(prog: str) -> argparse.HelpFormatter:
    """Return the usual formatter; asked for the width itself it imports three compressors."""
    return argparse.HelpFormatter(prog, width=NARROW - 2)


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="exit with 1 when there is drift")


def _add_addresses(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("addresses", metavar="ADDRESS", nargs="+", type=_address)


def _parsed(argv: Sequence[str]) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(argv)
    if options.command is lend.release:
        if bool(options.addresses) is options.all:
            parser.error("release: name devices, or say --all")
        if options.holder is None and not options.all:
            parser.error("release: say who gets them, with --holder NAME")
        options.holder = options.holder or lend.WHOEVER_ASKS_FOR_ALL
    return options


def _address(text: str) -> PciAddress:
    try:
        return PciAddress.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _holder(text: str) -> str:
    try:
        return parse_holder(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds(text: str) -> Optional[float]:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds or None
