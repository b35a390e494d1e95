"""A headless Chromium for tests of pages, without network; sizes and colour schemes can be switched."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.support.ui import WebDriverWait

__all__ = ["Browser", "chromium"]

PATIENCE = 60  # seconds; machines of CI are slow


class Browser:
    """What tests do with a page."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def show(self, page: Path, width: int = 1280, height: int = 900, *, dark: bool = False) -> None:
        """Open a page from its file and wait until it is built."""
        self.size(width, height)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        self.driver.get(page.as_uri())
        self.until(lambda: self.run("return document.body.dataset.ready === 'true'"))

    def size(self, width: int, height: int) -> None:
        """Set the size of the window in CSS pixels; a narrow one is a phone's."""
        asked = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", asked)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page and return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def until(self, true: Callable[[], Any]) -> Any:
        """Wait for something to become true, and return it."""
        return WebDriverWait(self.driver, PATIENCE, poll_frequency=0.1).until(lambda _: true())

    def one(self, selector: str) -> Any:
        """Return the element, once it is there."""
        return self.until(lambda: self.run("return document.querySelector(arguments[0])", selector))

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def count(self, selector: str) -> int:
        """Return how many elements there are."""
        return self.run("return document.querySelectorAll(arguments[0]).length", selector)

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def focused(self) -> Any:
        """Return the element that has the focus."""
        return self.driver.switch_to.active_element

    def picture(self, selector: str) -> Image.Image:
        """Return an element as it looks, in view."""
        place = self.run(
            "const e = document.querySelector(arguments[0]); e.scrollIntoView({block: 'center'});"
            "const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]",
            selector,
        )
        x, y, width, height = place
        png = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
        whole = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
        return whole.crop((round(x), round(y), round(x + width), round(y + height)))

    def complaints(self) -> list[str]:
        """Return what the console has said since the last call, and every request that left the page."""
        said = [f"{each['level']}: {each['message']}" for each in self.driver.get_log("browser")]
        return said + [url for url in self._requests() if url.startswith(("http", "ws", "ftp"))]

    def _requests(self) -> Iterator[str]:
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                yield message["params"]["request"]["url"]


@contextmanager
def chromium(home: Path) -> Iterator[Browser]:
    """Start the browser with its profile in ``home``, and end it afterwards."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in (
        *(
            "--headless=new",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--no-first-run",
        ),
        *("--no-sandbox", "--force-color-profile=srgb", "--lang=en-US", f"--user-data-dir={home}"),
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    driver.set_page_load_timeout(PATIENCE)
    driver.set_script_timeout(PATIENCE)
    try:
        browser = Browser(driver)
        driver.get("about:blank")
        browser.complaints()  # those of the browser's own first page
        yield browser
    finally:
        driver.quit()
