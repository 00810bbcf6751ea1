"""`nixenv inspect --html`, on the closure that real Nix built."""

import json
from pathlib import Path

from tests.conftest import Nixenv
from tests.inspect.page.conftest import Visit


def test_the_page_of_a_real_closure(nixenv: Nixenv, visit: Visit, tmp_path: Path) -> None:
    """It shows what `--json` tells: verdict, findings, every store object, every distribution."""
    told = json.loads(nixenv("inspect", "sglang", "--json").stdout)
    file = tmp_path / "report.html"
    done = nixenv("inspect", "sglang", "--html", str(file))
    assert (done.returncode, done.stdout) == (0, "")
    page = visit(file.read_text())
    assert page.locator("h1").inner_text() == "sglang"
    assert page.locator(".verdict").inner_text().lower() == told["verdict"]
    codes = [finding["code"] for finding in told["findings"]]
    assert page.locator("#findings h3 code").all_inner_texts() == codes
    paths = page.locator("#objects td:last-child").all_inner_texts()
    assert sorted(paths) == sorted(member["path"] for member in told["members"])
    held = sum(len(module["distributions"]) for module in told["modules"])
    assert page.locator("#distributions tbody tr").count() == held
    assert page.locator(".tile").count() > 10
    assert page.locator("#variables tbody tr").count() == len(told["variables"])
