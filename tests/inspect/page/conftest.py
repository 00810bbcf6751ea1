"""The page in real headless Chromium."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from nixenv.inspect.page.render import render_page
from nixenv.inspect.report import Report

Visit = Callable[..., Page]

DESKTOP = (1280, 900)
PHONE = (390, 844)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The machine's Chromium, else the one that Playwright brought itself.

    Its sandbox wants a user of its own, which a container has not.
    """
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser, tmp_path: Path) -> Iterator[Visit]:
    """Open a report's page, or one that is made already; at the end hold it to have been quiet.

    Quiet: no error, nothing on the console, no dialog, and no request but for the page itself.
    """
    file = tmp_path / "page.html"
    heard: list[str] = []

    def open_page(
        shown: Report | str,
        size: tuple[int, int] = DESKTOP,
        *,
        dark: bool = False,
        script: bool = True,
        before: str = "",
    ) -> Page:
        html = shown if isinstance(shown, str) else render_page(shown)
        file.write_text(html, encoding="utf-8")
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
        )
        context.add_init_script(before)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: heard.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: heard.append(f"error: {error}"))
        page.on("dialog", lambda dialog: heard.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: heard.append(f"request: {request.url}"))
        page.goto(file.as_uri())
        assert heard.pop(0) == f"request: {file.as_uri()}"
        return page

    yield open_page
    for context in browser.contexts:
        context.close()
    assert heard == []
