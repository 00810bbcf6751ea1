"""Write docs/findings.md: `make findings`."""

from pathlib import Path

from nixenv.inspect.diagnosis.table import load_table, render_page

PAGE = Path(__file__).with_suffix(".md")

if __name__ == "__main__":
    PAGE.write_text(render_page(load_table()))
