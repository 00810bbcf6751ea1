"""Make the pictures of `nixenv inspect` in docs/: `python -m docs.screenshots`, with Chromium.

They show real runs on the recorded snapshot, which is synthetic, with real names.
"""

import contextlib
import io
import os
import pty
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from fixtures.recorded import RECORDED_SNAPSHOT

DOCS = Path(__file__).parent
NIXENV = (sys.executable, "-I", "-m", "nixenv")
SNAPSHOT = RECORDED_SNAPSHOT.name

TERMINAL = """\
<body style="margin: 0; width: max-content">
<pre style="margin: 0; padding: 20px; background: #14171a; color: #e4e7ea;
  font: 14px/1.4 ui-monospace, Menlo, 'DejaVu Sans Mono', monospace">{code}</pre>
"""
TERMINAL_LINES = 40


def main() -> None:
    """Make all pictures."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not on PATH")
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        place = Path(directory)
        shutil.copy(RECORDED_SNAPSHOT, place)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        show_page(place, browser)
        show_terminal(place, browser)
        browser.close()


def show_page(place: Path, browser: Browser) -> None:
    """Take pictures of the page: its beginning, the map in dark mode, and a phone."""
    page = place / "page.html"
    command = (*NIXENV, "inspect", "--no-machine", "--from", SNAPSHOT, "--html", page.name)
    subprocess.run(command, cwd=place, check=True, capture_output=True)
    wide = browser.new_page(viewport={"width": 1280, "height": 900})
    wide.goto(page.as_uri())
    wide.screenshot(path=DOCS / "inspect-page.png")
    wide.emulate_media(color_scheme="dark")
    wide.locator(".tile").nth(1).focus()
    wide.locator("#sizes").evaluate("section => section.scrollIntoView()")
    wide.screenshot(path=DOCS / "inspect-page-map.png")
    phone = browser.new_page(viewport={"width": 390, "height": 844}, device_scale_factor=2)
    phone.goto(page.as_uri())
    phone.screenshot(path=DOCS / "inspect-page-phone.png")


def show_terminal(place: Path, browser: Browser) -> None:
    """Take a picture of the first lines that a terminal shows."""
    written = run_on_terminal((*NIXENV, "inspect", "--from", SNAPSHOT), place)
    lines = [f"$ nixenv inspect --from {SNAPSHOT}", *written.splitlines()[:TERMINAL_LINES]]
    text = Text.from_ansi("\n".join(lines))
    console = Console(record=True, file=io.StringIO(), width=max(map(len, lines)))
    console.print(text, soft_wrap=True)
    html = console.export_html(theme=MONOKAI, code_format=TERMINAL, inline_styles=True)
    page = browser.new_page()
    page.set_content(html)
    page.locator("pre").screenshot(path=DOCS / "inspect-terminal.png")


def run_on_terminal(command: tuple[str, ...], place: Path) -> str:
    """Run a command on a terminal of its own, and give what it wrote there."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    environ.pop("NO_COLOR", None)
    with subprocess.Popen(
        command, cwd=place, env=environ, stdout=theirs, stderr=subprocess.DEVNULL
    ):
        os.close(theirs)
        written = bytearray()
        with contextlib.suppress(OSError):  # as Linux says that the other end is closed
            while part := os.read(ours, 65536):
                written += part
    os.close(ours)
    return written.decode()


if __name__ == "__main__":
    main()
