"""The tables: sorted by click and key, searched, and quick with thousands of rows."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from nixenv.inspect.components import Group
from tests.inspect.page.conftest import DESKTOP, PHONE, Visit
from tests.inspect.page.reports import member, members, report

MEMBERS = (
    member("beta-2", Group.CUDA, 10),
    member("alpha-10", Group.PYTHON, 300),
    member("Gamma", Group.OTHER, None),
    member("alpha-9", Group.PYTHON, 2000),
)


def names(page: Page, table: str = "objects") -> list[str]:
    return page.locator(f"#{table} tbody tr:visible > :first-child").all_inner_texts()


def orders(page: Page) -> list[str | None]:
    return [
        heading.get_attribute("aria-sort") for heading in page.locator("#objects thead th").all()
    ]


def heading(page: Page, title: str) -> Locator:
    return page.locator(f"#objects thead button:text-is('{title}')")


def test_the_largest_come_first(visit: Visit) -> None:
    """That is what the table is looked at for; what has no known size is last."""
    page = visit(report(members=MEMBERS))
    assert names(page) == ["alpha-9", "alpha-10", "beta-2", "Gamma"]
    assert orders(page) == ["none", "none", "descending", "none", "none"]


@pytest.mark.parametrize("way", ["click", "Enter", "Space"])
def test_a_heading_sorts_by_click_and_by_key(visit: Visit, way: str) -> None:
    """Up, then down; numbers in names count as numbers; assistive software is told."""
    page = visit(report(members=MEMBERS))
    button = heading(page, "Name")

    def press() -> None:
        if way == "click":
            button.click()
        else:
            button.press(way)

    press()
    assert names(page) == ["alpha-9", "alpha-10", "beta-2", "Gamma"]
    assert orders(page) == ["ascending", "none", "none", "none", "none"]
    press()
    assert names(page) == ["Gamma", "beta-2", "alpha-10", "alpha-9"]
    assert orders(page) == ["descending", "none", "none", "none", "none"]


def test_sizes_sort_as_numbers_and_the_unknown_come_last(visit: Visit) -> None:
    """Either way: 10 bytes are less than 2.0 kB."""
    page = visit(report(members=MEMBERS))
    button = heading(page, "Own size")
    button.click()
    assert names(page) == ["beta-2", "alpha-10", "alpha-9", "Gamma"]
    button.click()
    assert names(page) == ["alpha-9", "alpha-10", "beta-2", "Gamma"]
    heading(page, "Closure size").click()
    assert names(page) == ["alpha-9", "alpha-10", "beta-2", "Gamma"]
    assert orders(page) == ["none", "none", "none", "descending", "none"]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_search_leaves_what_has_all_its_words(visit: Visit, size: tuple[int, int]) -> None:
    """In whatever cell and case; the count is said aloud."""
    page = visit(report(members=MEMBERS), size)
    search = page.get_by_role("searchbox", name="Search Store objects")
    count = page.locator("#objects").get_by_role("status")
    assert count.inner_text() == "4 of 4 found"
    search.fill("  ALPHA   python ")
    assert names(page) == ["alpha-9", "alpha-10"]
    assert count.inner_text() == "2 of 4 found"
    search.fill("nothing like it")
    assert names(page) == []
    assert count.inner_text() == "0 of 4 found"
    search.fill("")
    assert len(names(page)) == 4


def test_a_search_outlives_sorting(visit: Visit) -> None:
    """The two do not know of each other."""
    page = visit(report(members=MEMBERS))
    page.locator("#objects-search").fill("alpha")
    heading(page, "Own size").click()
    assert names(page) == ["alpha-10", "alpha-9"]


@pytest.mark.parametrize("table", ["objects", "distributions", "cuda", "variables"])
def test_every_table_is_searched_by_itself(visit: Visit, table: str) -> None:
    """And has sortable headings; the table of sums is too short for either."""
    page = visit(report())
    before = {name: len(names(page, name)) for name in ("objects", "distributions", "variables")}
    page.locator(f"#{table}-search").fill("no row has this")
    assert names(page, table) == []
    for name in set(before) - {table}:
        assert len(names(page, name)) == before[name]
    assert (
        page.locator(f"#{table} thead th").count()
        == page.locator(f"#{table} thead th button").count()
    )
    assert page.locator("#sizes thead button, #sizes input").count() == 0


def test_thousands_of_rows_are_not_laid_out_at_once(visit: Visit) -> None:
    """The first 300 of those that are found; more at a button's press."""
    page = visit(report(members=members(*range(3000))))
    count = page.locator("#objects").get_by_role("status")
    expect(count).to_have_text("3000 of 3000 found, 300 of them shown")
    assert len(names(page)) == 300
    page.locator("#objects-search").fill("name-99")
    assert count.inner_text() == "11 of 3000 found"
    assert len(names(page)) == 11
    assert not page.locator("#objects .more").is_visible()
    page.locator("#objects-search").fill("name-1")
    assert len(names(page)) == 300
    heading(page, "Own size").click()
    assert names(page)[:2] == ["name-1", "name-10"]
    page.locator("#objects .more").click()
    assert len(names(page)) == 1111
    assert count.inner_text() == "1111 of 3000 found"


def without_values(table: Locator) -> str:
    """Of the rows as they are in the page, leave out what the script sorts them by."""
    html: str = table.evaluate("table => table.tBodies[0].innerHTML")
    return re.sub(r' data-value="\d+"', "", html).replace("</tr>\n", "</tr>")


@pytest.mark.parametrize("table", ["objects", "distributions"])
def test_rows_that_are_packed_are_as_the_others(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """The script makes them as the page would have had them, sizes to the last digit."""
    odd = member("</td><b>`\u202e\0", Group.PYTHON, None)
    sizes = [0, 1, 999, 1250, 1350, 1750, 2250, 999_949, 999_950, *(10**n for n in range(3, 19))]
    shown = report(members=(*MEMBERS, *members(*sizes), odd))
    whole = without_values(visit(shown).locator(f"#{table} table"))
    monkeypatch.setattr("nixenv.inspect.page.tables.LISTED", 2)
    page = visit(shown)
    packed = page.locator(f"#{table} table")
    assert packed.get_attribute("data-rest")
    expect(page.locator(".packed")).to_have_count(0)
    assert without_values(packed) == whole


def test_where_rows_cannot_be_unpacked_the_page_says_so(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old browser shows those that are in the page, and sorts them."""
    monkeypatch.setattr("nixenv.inspect.page.tables.LISTED", 2)
    page = visit(report(members=MEMBERS), before="delete window.DecompressionStream")
    expect(page.locator("#objects")).to_contain_text("2 more rows are packed, for the script")
    assert names(page) == ["alpha-9", "alpha-10"]
    heading(page, "Name").click()
    heading(page, "Name").click()
    assert names(page) == ["alpha-10", "alpha-9"]


def test_a_search_finds_what_is_packed(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a block of the map leads there."""
    monkeypatch.setattr("nixenv.inspect.page.tables.LISTED", 1)
    page = visit(report(members=MEMBERS))
    page.locator("#objects-search").fill("beta 10 bytes")
    assert names(page) == ["beta-2"]
    page.locator(".tile[aria-label^='alpha-10']").click()
    assert page.locator("tr:focus th").inner_text() == "alpha-10"


def test_everything_is_reached_with_tab(visit: Visit) -> None:
    """In the order of the page; of the map one block, from where the arrow keys go on."""
    page = visit(report())
    assert page.locator(".tile[tabindex='0']").count() == 1
    page.evaluate(
        """window.wanted = new Set([...document.querySelectorAll(
          "a, button, input, summary, [tabindex='0']")]
          .filter((element) => element.getClientRects().length && element.tabIndex >= 0))"""
    )
    amount = page.evaluate("wanted.size")
    assert amount > 30
    for _ in range(amount):
        page.keyboard.press("Tab")
        assert page.evaluate("wanted.delete(document.activeElement)")


def test_focus_can_be_seen(visit: Visit) -> None:
    """On whatever it is."""
    page = visit(report())
    for _ in range(60):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        if page.evaluate("document.activeElement.matches('#variables summary')"):
            return
    raise AssertionError("the end was not reached")
