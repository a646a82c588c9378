"""A site of ours in a real browser: whatever is read off a page is waited for."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from selenium.common.exceptions import (
    NoSuchElementException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

PATIENCE, POLL = 60, 0.05
"""Seconds: of a machine that has other things to do; nobody waits longer than the page takes."""
PASSING = (NoSuchElementException, StaleElementReferenceException)

ALL_IMAGES = """
    const done = arguments[arguments.length - 1];
    (async () => {
        const { head, image, values } = ReportData;
        const images = await Promise.all(Array.from({ length: head.images }, (_, i) => image(i)));
        for (const { id, runs } of head.orders) {
            for (const run of runs) {
                const column = await values(run, id);
                images.forEach((one, i) => {
                    const result = one.results.find((result) => result.run === run);
                    const value = Number.isNaN(column[i]) ? null : column[i];
                    if (result) (result.values ??= {})[id] = value;
                });
            }
        }
        done(images);
    })();
"""


class Site:
    """One report in the browser."""

    def __init__(self, driver, page: Path):
        self.driver, self.folder = driver, page.parent

    def open(self, page="index.html", width=1280, height=900, dark=False):
        """A page in a window of this size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.go(page)
        return self

    def go(self, page):
        self.driver.get("about:blank")  # so that another #fragment is another page
        self.driver.get(f"file://{self.folder}/{page}")
        self.settled()

    def script(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def one(self, selector):
        """The element, waited for: a page draws what was asked for a moment after the key."""
        return self.until(lambda: self.driver.find_element(By.CSS_SELECTOR, selector))

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        return self.script(
            "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent.trim())",
            selector,
        )

    def choose(self, name, value):
        Select(self.one(f"select[name={name}]")).select_by_value(value)
        self.settled()

    def check(self, name, value):
        self.script("arguments[0].click()", self.one(f"input[name={name}][value='{value}']"))
        self.settled()

    def press(self, *keys):
        self.one("body").send_keys(*keys)
        self.settled()

    def ids(self):
        self.settled()
        return self.texts(".card .open")

    def images(self):
        """All images as the page knows them, with the values that they are ordered by."""
        return self.driver.execute_async_script(ALL_IMAGES)

    def settled(self):
        """Waits until the gallery shows what was asked for."""
        self.until(lambda: not self.all("#cards[aria-busy=true]"))

    def until(self, condition):
        """What a condition comes to once it holds; elements may come and go on the way."""
        wait = WebDriverWait(self.driver, PATIENCE, POLL, PASSING)
        return wait.until(lambda _: condition())

    def becomes(self, read, expected):
        """Waits until what is read is what is expected; if it never is, the assertion says both."""
        with suppress(TimeoutException):
            self.until(lambda: read() == expected)
        assert read() == expected

    def text(self, selector):
        return self.script("return document.querySelector(arguments[0])?.innerText", selector)
