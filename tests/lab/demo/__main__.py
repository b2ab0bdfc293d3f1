# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `make demo`: the main job on a virtual host, from start to end, checking itself.

The steps are in story.py.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator

from .. import base, collection
from ..cli import signals_unwind
from ..host import Lab
from ..managed import BIN
from ..progress import LabError, Progress
from .screen import Screen
from .story import Story
from .workshop import HOST, Workshop

NAME = "demo"
INTRODUCTION = """\
vfio.power: a playbook declares how deep passed-through PCI devices may sleep; a helper on the
host keeps them so. This demo boots a virtual host with real vfio-pci devices that reach D3cold,
and asks the kernel after every step whether it is so."""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    screen = Screen()
    began = time.monotonic()
    try:
        with signals_unwind():
            _run(options, screen)
    except (LabError, AssertionError) as error:
        screen.end(f"The demo failed after {_since(began)}.")
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        screen.end("Interrupted, and cleaned up.")
        return 130
    screen.end(f"All of it was shown, in {_since(began)}.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("make demo", description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="leave the virtual host running")
    parser.add_argument("--debian", choices=base.RELEASES, default="13", help="of the virtual host")
    return parser


def _run(options: argparse.Namespace, screen: Screen) -> None:
    screen.plain(INTRODUCTION)
    progress = Progress()
    with _lab(options, screen, progress) as lab:
        shop = Workshop(lab, screen)
        with progress.step("build and install the collection"):
            collection.install(shop.collections)
        shop.lay_out()
        Story(shop).tell()


@contextlib.contextmanager
def _lab(options: argparse.Namespace, screen: Screen, progress: Progress) -> Iterator[Lab]:
    """A lab host with no card on vfio-pci yet. A kept one outlives even a failure."""
    name = NAME if options.keep else None
    lab = Lab.start(
        debian=options.debian, on_vfio=(), name=name, keep=options.keep, progress=progress
    )
    kept = False
    try:
        lab.ssh("udevadm settle")  # a card cannot be unbound from a driver that is just coming
        yield lab
        kept = options.keep
    except Exception:
        kept = options.keep
        raise
    finally:
        if kept:
            _tell_how_to_enter(lab, screen)
        else:
            lab.stop()


def _tell_how_to_enter(lab: Lab, screen: Screen) -> None:
    shop = Workshop(lab, screen)
    settings = " ".join(f"{name}={value}" for name, value in shop.environment().items())
    screen.end("The virtual host keeps running.")
    screen.plain(
        f"  a shell on {HOST}:   tests/lab/lab enter --name {lab.name}\n"
        f"  the controller:   cd {shop.example}; export {settings}\n"
        f"                    {BIN / 'ansible-playbook'} vfio.power.converge\n"
        f"  end it:           tests/lab/lab stop --name {lab.name}"
    )


def _since(began: float) -> str:
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


if __name__ == "__main__":
    sys.exit(main())
