# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a report: whatever hosts answer is text in them, and nothing else."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from ansible_collections.vfio.power.plugins.plugin_utils._report import page, render
from ansible_collections.vfio.power.tests.unit.plugins.plugin_utils.answers import (
    UNREACHABLE,
    device,
    leased,
    not_bound,
    report,
    seen,
    storming,
)

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;]]>"
MIXED = {
    "fine": seen(device(1), leased(2)),
    "bad": seen(storming(1), not_bound(2)),
    "gone": UNREACHABLE,
}


def written(made, name, tmp_path):
    """Return a file of a report."""
    (file,) = render.write(made, [name], tmp_path)
    return (tmp_path / file).read_text(encoding="utf-8")


class Elements(HTMLParser):
    """Collects the elements of a page with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def evil():
    """A report in which everything that can be a text is hostile."""
    bad = not_bound(1)
    bad.update(model=EVIL, driver=EVIL)
    bad["declared"]["rule"] = EVIL
    for name in ("code", "message", "hint"):
        bad["drift"][0][name] = EVIL
    return report(**{EVIL: seen(bad), f"{EVIL}gone": UNREACHABLE})


def test_markup_in_names_is_text_on_the_page(evil, tmp_path):
    elements = Elements(written(evil, "html", tmp_path))
    tags = [tag for tag, _attributes in elements.found]
    assert tags.count("script") == 2
    assert "img" not in tags
    assert not [
        name for _tag, attributes in elements.found for name in attributes if name[:2] == "on"
    ]


def test_markup_in_names_is_text_in_junit(evil, tmp_path):
    root = ElementTree.fromstring(written(evil, "junit", tmp_path))
    assert {suite.get("name") for suite in root} == {EVIL, f"{EVIL}gone"}


def test_the_page_allows_its_own_style_and_script_by_hash_and_nothing_else(tmp_path):
    text = written(report(**MIXED), "html", tmp_path)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy.startswith("default-src 'none'; ")
    for element in ("style", "script"):
        (inside,) = re.findall(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
        digest = b64encode(sha256(inside.encode()).digest()).decode()
        assert (
            f"{element}-src &#39;sha256-{digest}&#39;" in policy or f"'sha256-{digest}'" in policy
        )


def test_the_page_names_no_other_place(tmp_path):
    text = written(report(**MIXED), "html", tmp_path)
    assert not re.findall(r"""(?:src|href|action)=["']?(?!data:)[^"' >]+""", text)
    licence = "https://www.gnu.org/licenses/gpl-3.0.txt)"
    assert set(re.findall(r"https?://[^\"'<> \n]+", text)) == {
        "http://www.w3.org/2000/svg",
        licence,
    }


def test_the_page_says_first_how_the_fleet_stands_and_what_to_do(tmp_path):
    text = written(report(**MIXED), "html", tmp_path)
    order = [
        "<h1>1 of 3 hosts is not as declared, 1 is unknown</h1>",
        "What is wrong, and what to do",
        "driverctl set-override 0000:02:00.0 vfio-pci",
        "No route",
        "Hosts and devices",
    ]
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def test_a_hint_that_differs_in_the_address_alone_is_said_once_for_all(tmp_path):
    made = report(a=seen(not_bound(1)), b=seen(not_bound(2)))
    text = written(made, "html", tmp_path)
    shown = text[: text.index('id="data"')]
    assert shown.count("driverctl set-override") == 1
    assert "driverctl set-override ADDRESS vfio-pci" in shown


def test_of_many_places_the_first_are_named_and_the_rest_counted():
    made = report(**{f"h{number}": seen(not_bound(1)) for number in range(50)})
    (group,) = page.groups(made)
    assert len(group.places) == page.PLACES
    assert group.more == 50 - page.PLACES


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0, 0, 0), "No host was looked at"),
        ((1, 0, 0), "The host is as declared"),
        ((1200, 0, 0), "All 1,200 hosts are as declared"),
        ((1200, 1, 0), "1 of 1,200 hosts is not as declared"),
        ((3, 0, 2), "2 of 3 hosts are unknown"),
        ((3, 1, 1), "1 of 3 hosts is not as declared, 1 is unknown"),
    ],
)
def test_the_whole_report_is_one_sentence(numbers, words):
    assert page.verdict(dict(zip(("total", "drift", "unknown"), numbers))) == words


def test_a_single_device_of_many_thousand_can_be_seen_in_a_bar():
    segments = page.segments_of({"asleep": 99_999, "awake": 1}, ("asleep", "awake"))
    assert segments[1].length > 1
    assert sum(segment.length for segment in segments) == pytest.approx(100, abs=0.01)


def test_the_bar_of_nothing_is_empty():
    assert page.segments_of({"asleep": 0}, ("asleep",)) == []


def test_junit_counts_a_case_for_each_host_and_device(tmp_path):
    root = ElementTree.fromstring(written(report(**MIXED), "junit", tmp_path))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "2", "1")
    suites = {suite.get("name"): suite for suite in root}
    assert suites["fine"].get("skipped") == "1"
    assert suites["gone"].find("testcase/error").get("type") == "unreachable"
    failure = suites["bad"].findall("testcase/failure")[1]
    assert failure.get("type") == "not-bound"
    assert "driverctl" in failure.text


def test_the_json_is_the_report_itself(tmp_path):
    made = report(**MIXED)
    assert json.loads(written(made, "json", tmp_path)) == made
