# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs every check, or those of some lanes, and goes on after a failing one; `make test` is this.

Each session of noxfile.py is a step. Its output is kept aside and shown only if the step fails.
The steps of a lane run one after the other, the lanes side by side. The last line is for machines:
N passed, M failed.
"""

from __future__ import annotations

import json
import os
import re
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
# Tags of noxfile.py. The tests on virtual hosts take most of the time, two hosts at a time.
LANES = ["lab", "checks"]
# Seconds: between signs of life, until a step counts as stuck, and for it to clean up then.
HEARTBEAT = 60
LIMIT = 80 * 60
PATIENCE = 90
# The lines of pytest that name a cause, and how many lines of a failed step are said again.
CAUSE = re.compile(r"^(FAILED|ERROR|E  ) ")
REMINDER = 30


class Result(NamedTuple):
    step: str
    passed: bool
    seconds: float
    causes: tuple[str, ...]


class Report:
    """What people see while it runs. All lanes write here, one whole message at a time."""

    def __init__(self) -> None:
        self._turn = threading.Lock()

    def starts(self, step: str) -> None:
        self._say(f"{_clock()}  ....  {step}")

    def goes_on(self, step: str, seconds: float, last_words: str) -> None:
        self._say(f"{_clock()}  ....  {step} ({seconds:.0f} s) {last_words}"[:140])

    def ends(self, result: Result, output: str) -> None:
        line = f"{_clock()}  {_verdict(result)}  {result.step} ({result.seconds:.0f} s)"
        shown = "" if result.passed else f"\n{_frame(result.step)}\n{output.rstrip()}\n{_frame()}"
        self._say(line + shown)

    def interrupted(self) -> None:
        self._say("Interrupted: the running steps clean up.")

    def table(self, results: list[Result], seconds: float) -> None:
        width = max(len(result.step) for result in results)
        rows = [f"{_verdict(r)}  {r.step:{width}}  {r.seconds:6.0f} s" for r in results]
        failed = [result.step for result in results if not result.passed]
        self._say("\n".join(["", *rows, "", f"All of it took {seconds:.0f} s."]))
        for result in results:
            if not result.passed:
                self._say("\n".join([_frame(result.step), *result.causes, _frame()]))
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


def causes(output: str) -> tuple[str, ...]:
    """What is worth saying again at the end, where a reader looks first."""
    lines = output.rstrip().split("\n")
    named = [line for line in lines if CAUSE.match(line)]
    return tuple((named or lines)[-REMINDER:])


def _frame(title: str = "") -> str:
    return (f" {title} " if title else "").center(100, "-")


class Step:
    """One running session: a group of processes and the file they write into."""

    def __init__(self, name: str, nox: str) -> None:
        self.name = name
        self._started = time.monotonic()
        # Not in a with block: it is read after the process has ended, and closed by close().
        self._output = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [nox, "--non-interactive", "--nocolor", "--session", name],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def wait(self, seconds: float) -> bool:
        """Tell whether it has ended within these seconds."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        """Ask it to clean up and end, and insist if it does not."""
        for number, seconds in ((signal.SIGINT, PATIENCE), (signal.SIGKILL, None)):
            try:
                os.killpg(self._process.pid, number)
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
            except ProcessLookupError:
                return

    def output(self) -> str:
        self._output.seek(0)
        return self._output.read()

    def last_words(self) -> str:
        """The last line so far, read without moving the place where it writes."""
        size = os.fstat(self._output.fileno()).st_size
        tail = os.pread(self._output.fileno(), 2000, max(0, size - 2000))
        lines = tail.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def close(self) -> bool:
        """Tell whether it passed, and forget its output."""
        self._output.close()
        return self._process.returncode == 0


class Checks:
    def __init__(self, nox: str, report: Report) -> None:
        self._nox = nox
        self._report = report
        self._stopping = threading.Event()

    def steps(self, lane: str) -> list[str]:
        command = [self._nox, "--list-sessions", "--json", "--tags", lane]
        listing = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
        return [session["session"] for session in json.loads(listing)]

    def run_lane(self, steps: list[str]) -> list[Result]:
        return [self._run(step) for step in steps if not self._stopping.is_set()]

    def interrupted(self, _number: int, _frame: object) -> None:
        """End all lanes. make hands on a signal we may have had already; once is enough."""
        if not self._stopping.is_set():
            self._stopping.set()
            raise KeyboardInterrupt

    def _run(self, name: str) -> Result:
        self._report.starts(name)
        step = Step(name, self._nox)
        self._accompany(step)
        seconds, output = step.seconds, step.output()
        result = Result(name, step.close(), seconds, causes(output))
        if not self._stopping.is_set():
            self._report.ends(result, output)
        return result

    def _accompany(self, step: Step) -> None:
        told = 0.0
        while not step.wait(1):
            if self._stopping.is_set() or step.seconds > LIMIT:
                step.stop()
            elif step.seconds - told > HEARTBEAT:
                told = step.seconds
                self._report.goes_on(step.name, told, step.last_words())


def main(nox: str, *names: str) -> int:
    report = Report()
    checks = Checks(nox, report)
    lanes = [checks.steps(name) for name in names or LANES]
    # Also where a shell started us in the background, which makes all of us deaf to interrupts.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, checks.interrupted)
    started = time.monotonic()
    with ThreadPoolExecutor(max_workers=len(lanes)) as pool:
        futures = [pool.submit(checks.run_lane, steps) for steps in lanes]
        try:
            results = [result for future in futures for result in future.result()]
        except KeyboardInterrupt:
            report.interrupted()
            return 130
    report.table(results, time.monotonic() - started)
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
