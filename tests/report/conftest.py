# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports that these tests look at, and the browser that they look with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.plugin_utils._report import fleet, render
from ansible_collections.vfio.power.tests.unit.plugins.plugin_utils import answers

from .browser import Browser

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;]]>\r\nline two"
ENDLESS = "x" * 5000


def nasty() -> list[answers.Document]:
    """Return hosts that answer what no host should."""
    bad = answers.not_bound(1)
    bad.update(model=EVIL, driver=ENDLESS)
    bad["declared"]["rule"] = ENDLESS
    bad["drift"][0].update(message=f"{EVIL} {ENDLESS}", hint=ENDLESS)
    bare = {"address": "0000:02:00.0", "drift": []}
    older = answers.answer(answers.device(3, held=None, engaged=None, wakes=None), drifted=None)
    both = answers.seen(answers.not_bound(2))
    both["vfio_power_declared"] = {"unreachable": True, "msg": "it went away"}
    hosts = {
        "hv0000": both,  # and its name begins many others
        EVIL: answers.seen(bad, bare),
        ENDLESS: {"vfio_power_seen": {"unreachable": True, "msg": ENDLESS}},
        "older": {"vfio_power_seen": answers.excerpt(older, answers.NOW)},
    }
    return [fleet.host_of(name, variables, answers.NOW) for name, variables in hosts.items()]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a hundred hosts, of which some are nasty, in all formats."""
    place = tmp_path_factory.mktemp("report")
    hosts = [*answers.fleet(120, 8), *nasty()]
    render.write(fleet.report_of(hosts, answers.NOW, "0.1.0"), list(render.FILES), place)
    return place


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser without any profile, for all tests."""
    with Browser.start(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def page(browser: Browser, folder: Path) -> Iterator[Browser]:
    """The report, opened anew; nothing may complain and nothing may be fetched meanwhile."""
    browser.open(folder / "report.html")
    yield browser
    assert browser.complaints() == []
    assert browser.fetched() == []
