# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Prometheus on this machine that scrapes the node_exporter of a lab host."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tools.prometheus import program

from .connection import free_port
from .host import Lab
from .progress import LabError

RULES = Path(__file__).parents[2] / "docs/example/prometheus/vfio-power.rules.yml"
FOLDER = "/var/lib/prometheus/node-exporter"
METRICS = f"{FOLDER}/vfio-power.prom"

_EXPORTER = "/usr/local/bin/prometheus-node-exporter"
_UNIT = "node-exporter-of-a-test"
_PORT = 9100

_SETTINGS = """\
global: {{scrape_interval: 2s, evaluation_interval: 2s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ["127.0.0.1:{exporter}"], labels: {{instance: lab}}}}]
"""


class Prometheus:
    """What it answers."""

    def __init__(self, port: int) -> None:
        self._port = port

    def values(self, query: str) -> dict[str, float]:
        """The values of a query, by their label ``address``."""
        found = self._ask("query", query=query)["result"]
        return {it["metric"].get("address", ""): float(it["value"][1]) for it in found}

    def firing(self) -> dict[str, dict[str, str]]:
        """The alerts that fire now: their labels, by name."""
        alerts = self._ask("alerts")["alerts"]
        return {it["labels"]["alertname"]: it["labels"] for it in alerts if it["state"] == "firing"}

    def answers(self) -> bool:
        """Whether it has begun."""
        try:
            return bool(self.values("up == 1"))
        except OSError:
            return False

    def _ask(self, what: str, **words: str) -> dict[str, Any]:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
        with closing(connection):
            connection.request("GET", f"/api/v1/{what}?{urlencode(words)}")
            told: dict[str, Any] = json.load(connection.getresponse())["data"]
        return told


@contextmanager
def prometheus(lab: Lab, folder: Path) -> Iterator[Prometheus]:
    """Have it for the length of a block, with our rules, and little patience before an alert."""
    rules = folder / "rules.yml"
    rules.write_text(re.sub(r"\bfor: \d+[mhd]", "for: 4s", RULES.read_text()))
    with _node_exporter(lab) as exporter:
        settings = folder / "prometheus.yml"
        settings.write_text(_SETTINGS.format(rules=rules, exporter=exporter))
        port = free_port()
        command = [str(program("prometheus")), f"--config.file={settings}"]
        command += [f"--storage.tsdb.path={folder / 'data'}"]
        command += [f"--web.listen-address=127.0.0.1:{port}"]
        complaints = folder / "prometheus.log"
        with complaints.open("wb") as log, subprocess.Popen(command, stderr=log) as process:
            try:
                answering = Prometheus(port)
                lab.wait_for(answering.answers, 60, f"Prometheus to scrape, see {complaints}")
                yield answering
            finally:
                process.terminate()


@contextmanager
def _node_exporter(lab: Lab) -> Iterator[int]:
    """Run it on the host with nothing but the textfile collector, and lead a port of ours there."""
    lab.put(program("prometheus-node-exporter"), _EXPORTER)
    words = "--collector.disable-defaults --collector.textfile"
    words += f" --collector.textfile.directory={FOLDER} --web.listen-address=127.0.0.1:{_PORT}"
    lab.ssh(f"systemd-run --quiet --collect --unit {_UNIT} {_EXPORTER} {words}")
    port = free_port()
    forward = ["-L", f"127.0.0.1:{port}:127.0.0.1:{_PORT}"]
    try:
        _control(lab, "forward", forward)
        yield port
    finally:
        _control(lab, "cancel", forward)
        lab.ssh(f"systemctl stop {_UNIT}; rm {_EXPORTER}")


def _control(lab: Lab, what: str, words: list[str]) -> None:
    """Have the shared connection forward a port, or forward it no longer."""
    ssh, *options, host = lab.connection.command()
    command = [ssh, "-O", what, *words, *options, host]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(command)} failed: {done.stderr.strip()}")
