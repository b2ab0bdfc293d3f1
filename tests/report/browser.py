# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A headless Chromium, in the words of those who read a report."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE, PHONE = (1280, 900), (360, 740)
PATIENCE = 10


class Browser:
    """One tab."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    @classmethod
    @contextmanager
    def start(cls, profile: Path) -> Iterator[Browser]:
        """Start one that has seen nothing before."""
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        try:
            yield cls(driver)
        finally:
            driver.quit()

    def open(self, path: Path, size: tuple[int, int] = WIDE, **seen: str) -> float:
        """Open a page as a reader with this screen has it; return the seconds until it stands."""
        self.show(size, **seen)
        for log in ("browser", "performance"):
            self._driver.get_log(log)
        started = time.monotonic()
        self._driver.get(path.as_uri())
        assert self.rows(), "the table is empty"
        return time.monotonic() - started

    def show(self, size: tuple[int, int], scheme: str = "light", media: str = "screen") -> None:
        """Be a screen of this size, light or dark, or paper."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        emulated = {"media": media, "features": features}
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", emulated)

    # What a reader does

    def click(self, css: str) -> None:
        """Click on the first element like this."""
        element = self._driver.find_element(By.CSS_SELECTOR, css)
        self._driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def click_column(self, title: str) -> None:
        """Click on the head of a column."""
        for button in self._driver.find_elements(By.CSS_SELECTOR, "th button"):
            if button.text == title:
                button.click()
                return
        raise AssertionError(f"there is no column {title}")

    def type(self, words: str) -> None:
        """Type into the search, and wait until the table has followed."""
        before = self.text("#shown")
        field = self._driver.find_element(By.ID, "query")
        field.clear()
        field.send_keys(words)
        WebDriverWait(self._driver, PATIENCE).until(lambda _: self.text("#shown") != before)

    def select(self, name: str, words: str) -> None:
        """Choose from a list."""
        Select(self._driver.find_element(By.ID, name)).select_by_visible_text(words)

    # What a reader sees

    def text(self, css: str) -> str:
        """Return what stands in the first element like this."""
        return str(self._driver.find_element(By.CSS_SELECTOR, css).text)

    def rows(self) -> list[list[str]]:
        """Return the rows of the table, as lists of what stands in their cells."""
        script = """return [...document.querySelectorAll("tr.row")].map(
            (row) => [...row.cells].map((cell) => cell.innerText.trim()))"""
        return list(self.ask(script))

    def column(self, title: str) -> list[str]:
        """Return what stands in a column."""
        script = 'return [...document.querySelectorAll("th")].map((cell) => cell.innerText)'
        titles = [text.rstrip(" \u2191\u2193") for text in self.ask(script)]
        return [row[titles.index(title)] for row in self.rows()]

    def sorted_by(self, title: str) -> str:
        """Return the direction that the head of a column says."""
        script = """return [...document.querySelectorAll("th[aria-sort]")].map(
            (cell) => [cell.innerText, cell.getAttribute("aria-sort")])"""
        return str(dict(self.ask(script)).get(title, ""))

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the screen."""
        root = "document.documentElement"
        return int(self.ask(f"return {root}.scrollWidth - {root}.clientWidth"))

    def top(self, css: str) -> int:
        """Return where an element begins, from the top of the page."""
        script = f"return document.querySelector('{css}').getBoundingClientRect().top + scrollY"
        return int(self.ask(script))

    def ask(self, script: str) -> Any:
        """Return what a script on the page says."""
        return self._driver.execute_script(script)

    def prints(self, path: Path) -> None:
        """Print to a file."""
        self._write(path, self._driver.execute_cdp_cmd("Page.printToPDF", {}))

    def photograph(self, path: Path, height: int, top: int = 0) -> None:
        """Write a picture of a part of the page."""
        width = self.ask("return innerWidth")
        clip = {"x": 0, "y": top, "width": width, "height": height, "scale": 1}
        asked = {"clip": clip, "captureBeyondViewport": True}
        self._write(path, self._driver.execute_cdp_cmd("Page.captureScreenshot", asked))

    def _write(self, path: Path, answer: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    # What went wrong since the page was opened

    def complaints(self) -> list[str]:
        """Return what stands in the console: errors of the script, and what the policy refused."""
        return [entry["message"] for entry in self._driver.get_log("browser")]

    def fetched(self) -> list[str]:
        """Return what left the page: neither itself, nor in it, nor refused by its policy."""
        entries = self._driver.get_log("performance")
        events = [json.loads(entry["message"])["message"] for entry in entries]
        refused = {
            it["params"]["requestId"]
            for it in events
            if it["method"] == "Network.loadingFailed"
            and it["params"].get("blockedReason") == "csp"
        }
        sent = [it["params"] for it in events if it["method"] == "Network.requestWillBeSent"]
        addresses = [it["request"]["url"] for it in sent if it["requestId"] not in refused]
        assert [it for it in addresses if it.startswith("file:")] == [self._driver.current_url]
        return [it for it in addresses if not it.startswith(("data:", "file:"))]
