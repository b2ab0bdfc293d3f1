# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs every check and goes on after a failing one; `make test` is this.

Each session of noxfile.py is a step. Its output is kept aside and shown only if the step fails.
The steps of a lane run one after the other, the lanes side by side: the virtual hosts of the lab
take long and leave one processor to the others. The last line is for machines: N passed, M failed.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LANES = ["lab", "checks"]


class Result(NamedTuple):
    step: str
    passed: bool
    seconds: float


class Report:
    """What people see while it runs. Both lanes write here, one whole message at a time."""

    def __init__(self) -> None:
        self._turn = threading.Lock()

    def starts(self, step: str) -> None:
        self._say(f"{_clock()}  ....  {step}")

    def ends(self, result: Result, output: str) -> None:
        line = f"{_clock()}  {_verdict(result)}  {result.step} ({result.seconds:.0f} s)"
        shown = "" if result.passed else f"\n{_frame(result.step)}\n{output.rstrip()}\n{_frame('')}"
        self._say(line + shown)

    def table(self, results: list[Result], seconds: float) -> None:
        width = max(len(result.step) for result in results)
        rows = [f"{_verdict(r)}  {r.step:{width}}  {r.seconds:6.0f} s" for r in results]
        failed = [result.step for result in results if not result.passed]
        self._say("\n".join(["", *rows, "", f"All of it took {seconds:.0f} s."]))
        if failed:
            self._say("Failed: " + ", ".join(failed))
        self._say(f"{len(results) - len(failed)} passed, {len(failed)} failed")

    def _say(self, text: str) -> None:
        with self._turn:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()


def _clock() -> str:
    return time.strftime("%H:%M:%S")


def _verdict(result: Result) -> str:
    return "pass" if result.passed else "FAIL"


def _frame(title: str) -> str:
    return f" {title} ".center(100, "-") if title else "-" * 100


class Checks:
    """The steps, and the processes that run them, so that an interrupt ends these as well."""

    def __init__(self, nox: str, report: Report) -> None:
        self._nox = nox
        self._report = report
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def steps(self, lane: str) -> list[str]:
        command = [self._nox, "--list-sessions", "--json", "--tags", lane]
        listing = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
        return [session["session"] for session in json.loads(listing)]

    def run_lane(self, steps: list[str]) -> list[Result]:
        return [self._run(step) for step in steps if not self._stopped]

    def _run(self, step: str) -> Result:
        self._report.starts(step)
        started = time.monotonic()
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            passed = self._run_into(step, output.fileno()) == 0
            output.seek(0)
            result = Result(step, passed, time.monotonic() - started)
            if not self._stopped:
                self._report.ends(result, output.read())
        return result

    def _run_into(self, step: str, output: int) -> int:
        process = subprocess.Popen(
            [self._nox, "--non-interactive", "--nocolor", "--session", step],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._running.add(process)
        try:
            return process.wait()
        finally:
            self._running.discard(process)

    def stop(self) -> None:
        """Ask every running step to end; nox hands the interrupt on to its tool."""
        self._stopped = True
        for process in list(self._running):
            process.send_signal(signal.SIGINT)


def main(nox: str) -> int:
    report = Report()
    checks = Checks(nox, report)
    lanes = [steps for lane in LANES if (steps := checks.steps(lane))]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = time.monotonic()
    with ThreadPoolExecutor(max_workers=len(lanes)) as pool:
        futures = [pool.submit(checks.run_lane, steps) for steps in lanes]
        try:
            results = [result for future in futures for result in future.result()]
        except KeyboardInterrupt:
            checks.stop()
            sys.stdout.write("Interrupted: waiting for the running steps to clean up.\n")
            return 130
    report.table(results, time.monotonic() - started)
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
