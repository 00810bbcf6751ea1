"""Make the pictures of `nixenv inspect` in docs/: `python -m docs.screenshots`, with Chromium.

They show real runs on the recorded snapshot, which is synthetic, with real names. Its files are
empty shells, so the picture of where the bytes are would be of the few real ones: the copy that is
shown has sizes such as the real store objects have.
"""

import io
import os
import pty
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from attrs import evolve
from playwright.sync_api import Browser, sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from fixtures.recorded import RECORDED_SNAPSHOT
from nixenv.graph import Registration
from nixenv.snapshot import dump_snapshot, load_snapshot
from nixenv.storepath import store_name

DOCS = Path(__file__).parent
NIXENV = (sys.executable, "-I", "-m", "nixenv")
SNAPSHOT = "sglang.snapshot.json"

# In megabytes, by the beginning of the store name without the prefix of its Python.
SIZES = {
    "torch-": 1900,
    "cuda12.8-libcublas-": 870,
    "triton-llvm-": 640,
    "triton-3": 430,
    "flash_attn-": 410,
    "flashinfer-python-": 320,
    "gcc-14.3.0-lib": 10,
    "gcc-14": 260,
    "gcc-13": 240,
    "cuda12.8-cuda_nvcc-12.8.93-dev": 1,
    "cuda12.8-cuda_nvcc-": 230,
    "cuda_nvrtc-": 220,
    "nvidia-cutlass-dsl-": 190,
    "sglang-": 160,
    "python3-3.12.1-env": 1,
    "python3-3": 120,
    "transformers-": 110,
    "python3-minimal-": 60,
    "cuda13.0-cuda_compat-": 90,
    "numpy-": 40,
    "glibc-": 31,
    "tokenizers-": 9,
    "apache-tvm-ffi-": 8,
    "openssl-": 7,
    "pydantic-core-": 5,
    "huggingface-hub-": 4,
}

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
        write_snapshot(place / SNAPSHOT)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        show_page(place, browser)
        show_terminal(place, browser)
        browser.close()


def write_snapshot(file: Path) -> None:
    """Write the recorded snapshot with the sizes above."""
    snapshot = load_snapshot(str(RECORDED_SNAPSHOT))
    graph = snapshot.contents.graph
    if graph is None:
        sys.exit(f"{RECORDED_SNAPSHOT} holds no sizes")
    sized = evolve(graph, registrations=tuple(map(with_real_size, graph.registrations)))
    contents = evolve(snapshot.contents, graph=sized)
    file.write_text(dump_snapshot(evolve(snapshot, contents=contents)))


def with_real_size(registration: Registration) -> Registration:
    """Give a store object the size of a real one, where it is known."""
    prefix, _, rest = store_name(registration.path).partition("-")
    name = rest if prefix.startswith("python3.") else f"{prefix}-{rest}"
    size = next((size for start, size in SIZES.items() if name.startswith(start)), None)
    return registration if size is None else evolve(registration, nar_size=size * 10**6)


def show_page(place: Path, browser: Browser) -> None:
    """Take pictures of the page: its beginning, the map in dark mode, and a phone."""
    page = place / "page.html"
    command = (*NIXENV, "inspect", "--from", SNAPSHOT, "--html", page.name)
    subprocess.run(command, cwd=place, check=True, capture_output=True)
    wide = browser.new_page(viewport={"width": 1280, "height": 900})
    wide.goto(page.as_uri())
    wide.screenshot(path=DOCS / "inspect-page.png")
    wide.emulate_media(color_scheme="dark")
    wide.locator(".tile").nth(1).focus()
    wide.locator("#sizes").evaluate("section => section.scrollIntoView()")
    wide.screenshot(path=DOCS / "inspect-page-map.png")
    phone = browser.new_page(viewport={"width": 360, "height": 740}, device_scale_factor=2)
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
        try:
            while part := os.read(ours, 65536):
                written += part
        except OSError:
            pass  # how Linux says that nobody holds the other end any more
    os.close(ours)
    return written.decode()


if __name__ == "__main__":
    main()
