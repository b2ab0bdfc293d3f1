# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page in a real browser: search, filter, sort, and a look at it.

The pictures are left where VFIO_POWER_PICTURES says, for somebody to look at.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from .browser import PHONE, WIDE


def shown(page) -> int:
    """Return how many rows the page says it has."""
    return int(page.text("#shown").split()[0].replace(",", ""))


def test_the_gravest_comes_first(page):
    assert page.text("h1").startswith("14 of 124 hosts are not as declared, 4 are unknown")
    assert "wake-storm" in page.rows()[0][-1] or "not-bound" in page.rows()[0][-1]


def test_a_search_leaves_what_has_all_its_words(page):
    page.type("hv00007 NVIDIA")
    rows = page.rows()
    assert rows
    assert all("hv00007" in row[0] and "NVIDIA" in row[1] for row in rows)
    assert shown(page) == len(rows)


def test_a_search_that_finds_nothing_says_so_and_is_undone_with_one_click(page):
    everything = page.text("#shown")
    page.type("no such thing anywhere")
    assert page.rows() == []
    assert page.text("#shown").startswith("0 of ")
    page.click("#reset")
    assert page.text("#shown") == everything


def test_a_code_can_be_searched_for(page):
    page.type("wake-storm")
    assert set(page.column("Drift")) == {"wake-storm"}


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        ("not as declared", {"wake-storm", "not-bound"}),
        ("excused", {"leased"}),
        ("as declared", {"", "leased"}),
    ],
)
def test_the_filter_leaves_what_stands_so(page, words, codes):
    page.type("example.net")
    page.select("status", words)
    found = set(page.column("Drift"))
    assert found
    assert found <= codes


def test_the_filter_by_state_leaves_what_is_in_it(page):
    page.select("state", "in use")
    assert {text.split(" by ")[0] for text in page.column("Reached")} == {"in use"}


def test_a_click_below_a_bar_shows_what_it_is_made_of(page):
    number = page.text("[data-state=awake] b")
    page.click("[data-state=awake]")
    assert shown(page) == int(number)
    assert {text.split()[0] for text in page.column("Reached")} == {"awake"}


def test_the_parts_of_a_bar_are_as_long_as_what_they_count(page):
    """In the summary, and of the states of a host's devices in the table."""
    buttons = page.ask(
        "return [...document.querySelectorAll('.legend')[1].querySelectorAll('button')]"
        ".map((it) => [it.dataset.state, Number(it.querySelector('b').innerText)])"
    )
    assert dict(drawn(page, "section.summary .card:nth-child(2) svg")[0]) == shares(dict(buttons))
    page.click("[data-tab=hosts]")
    told = [text.splitlines()[-1].strip() for text in page.column("States") if text.strip()]
    bars = drawn(page, "tr.row svg.bar")
    assert len(told) == len(bars) > 20
    for text, shown_parts in zip(told, bars):
        numbers = (part.split(" ", 1) for part in text.split(", "))
        expected = shares({state.replace(" ", "-"): int(number) for number, state in numbers})
        assert dict(shown_parts) == expected, text


def shares(numbers):
    """Return which part of their sum they are, as exactly as pixels are."""
    total = sum(numbers.values())
    parts = {state: number / total for state, number in numbers.items()}
    return pytest.approx(parts, abs=0.02)


def drawn(page, css):
    """Return the parts of bars as they are on the screen, by state."""
    return page.ask(
        "const wide = (it) => it.getBoundingClientRect().width;"
        f"return [...document.querySelectorAll({css!r})].map((bar) => [...bar.children]"
        ".map((it) => [it.getAttribute('class').replace('_', '-'), wide(it) / wide(bar)]))"
    )


@pytest.mark.parametrize("status", ["as-declared", "drift", "unknown"])
def test_a_click_below_the_hosts_shows_as_many_as_it_counts(page, status):
    button = f"[data-table=hosts][data-status={status}]"
    number = page.text(f"{button} b")
    page.click(button)
    assert shown(page) == int(number)
    words = {"as-declared": "as declared", "drift": "not as declared"}.get(status, status)
    assert set(page.column("Stands")) == {words}


def test_the_devices_of_a_host_are_no_others(page):
    page.click("[data-tab=hosts]")
    page.type("hv0000")
    page.ask(
        "return [...document.querySelectorAll('tr.row')]"
        ".find((row) => row.cells[0].innerText.trim() === 'hv0000')"
        ".querySelector('.unfold').click()"
    )
    page.click(".details .show")
    assert page.rows()
    assert set(page.column("Host")) == {"hv0000"}
    assert page.text("#shown").endswith(" of hv0000")
    page.click("#reset")
    assert len(set(page.column("Host"))) > 1


def test_a_click_on_a_finding_shows_its_devices(page):
    page.click("[data-code=not-bound]")
    assert set(page.column("Drift")) == {"not-bound"}
    assert page.text("#shown").endswith("with not-bound")


def test_an_unreachable_host_is_among_the_hosts_and_unknown(page):
    page.click("[data-code=unreachable]")
    assert set(page.column("Stands")) <= {"unknown", "not as declared"}
    page.type("example.net")
    assert set(page.column("Stands")) == {"unknown"}
    assert "hv00005.example.net" in page.column("Host")
    assert set(page.column("Devices")) == {"?"}


def test_a_click_on_a_column_sorts_and_a_second_one_turns_it_round(page):
    page.click("[data-tab=hosts]")
    page.type("example.net")
    page.click_column("Host")
    up = page.column("Host")
    assert page.sorted_by("Host") == "ascending"
    page.click_column("Host")
    assert page.sorted_by("Host") == "descending"
    assert up == sorted(up)
    assert page.column("Host")[0] == "hv00119.example.net"


def test_numbers_are_sorted_as_numbers(page):
    page.click_column("Foreign wakes")
    page.click_column("Foreign wakes")
    counts = [int(text.split()[0]) for text in page.column("Foreign wakes") if text]
    assert counts[0] == 1402
    assert counts == sorted(counts, reverse=True)


def test_a_row_tells_more_when_it_is_asked(page):
    page.type("not-bound hv00013")
    page.click("tr.row .unfold")
    assert "driverctl set-override 0000:07:00.0 vfio-pci" in page.text("tr.details")
    page.click("tr.row .unfold")
    assert page.ask('return document.querySelectorAll("tr.details").length') == 0


def test_of_many_rows_a_hundred_are_shown_and_more_on_request(page):
    assert len(page.rows()) == 100
    page.click("#more")
    assert len(page.rows()) == 200


def test_markup_in_names_is_shown_as_text(page):
    page.click("[data-tab=hosts]")
    page.type("<img src=x")
    assert "</script><script>alert(1)</script>" in page.rows()[0][0]
    assert page.ask('return document.querySelectorAll("img").length') == 0


def test_the_policy_stops_what_is_not_of_the_page(browser, folder: Path):
    browser.open(folder / "report.html")
    browser.ask("""
        const script = document.createElement("script");
        script.textContent = "document.title = 'taken over'";
        document.body.append(script);
        const image = document.createElement("img");
        image.src = "http://192.0.2.1/spy.png";
        document.body.append(image);
    """)
    refused = " ".join(browser.complaints())
    assert "Content Security Policy" in refused
    assert "taken over" not in browser.ask("return document.title")
    assert browser.fetched() == []


@pytest.mark.parametrize("tab", ["devices", "hosts"])
@pytest.mark.parametrize("width", [360, 768, 1024, 1280])
def test_nothing_is_wider_than_the_screen(page, tab, width):
    page.show((width, 740))
    page.click(f"[data-tab={tab}]")
    page.ask('document.querySelectorAll("details").forEach((it) => { it.open = true; })')
    page.ask('document.querySelectorAll("tr.row .unfold").forEach((it) => it.click())')
    assert page.overflow() <= 0
    assert not page.ask(STICKING_OUT)


# A text that is wider than its box is cut off or lies over its neighbour.
STICKING_OUT = """
return [...document.querySelectorAll("td > div, .finding, h1, .card, .tools > *")]
    .filter((it) => it.scrollWidth > it.clientWidth + 1 && it.clientWidth)
    .map((it) => it.innerText.slice(0, 60))
"""


def test_on_paper_are_the_rows_that_were_chosen(page, tmp_path: Path):
    page.click("[data-state=in-use]")
    wanted = shown(page)
    assert wanted > 100
    page.ask("dispatchEvent(new Event('beforeprint'))")
    assert len(page.rows()) == wanted
    page.ask("dispatchEvent(new Event('afterprint'))")
    assert len(page.rows()) == 100
    page.prints(tmp_path / "report.pdf")
    assert re.match(rb"%PDF-", (tmp_path / "report.pdf").read_bytes())


def test_pictures_are_taken_for_people_to_look_at(browser, folder: Path, tmp_path: Path):
    place = Path(os.environ.get("VFIO_POWER_PICTURES") or tmp_path)
    grounds = []
    for name, size, scheme in (
        ("light", WIDE, "light"),
        ("dark", WIDE, "dark"),
        ("phone", PHONE, "light"),
    ):
        browser.open(folder / "report.html", size, scheme=scheme)
        browser.photograph(place / f"{name}.png", 2600)
        grounds.append(browser.ask("return getComputedStyle(document.body).backgroundColor"))
        browser.click("[data-tab=hosts]")
        browser.photograph(place / f"{name}-hosts.png", 1200, browser.top("#tables"))
    browser.open(folder / "report.html", (794, 1123), media="print")
    browser.photograph(place / "paper.png", 2200)
    sizes = [picture.stat().st_size for picture in place.glob("*.png")]
    assert len(sizes) == 7
    assert min(sizes) > 10_000
    light, dark, phone = grounds
    assert light == phone != dark
