"""The treemap: areas as sizes, nothing over anything else, at the keyboard as with a mouse."""

import itertools
import re
from typing import NamedTuple

import pytest
from playwright.sync_api import Page

from nixenv.inspect.components import Group
from nixenv.inspect.report import Member, Report
from tests.inspect.page.conftest import DESKTOP, PHONE, Visit
from tests.inspect.page.reports import MEMBERS, member, report

# A few large ones and a long tail, as closures have.
TAIL = tuple(member(f"lib{n}-1.0", tuple(Group)[n % 3], 10**9 // n**2) for n in range(1, 900))


class Tile(NamedTuple):
    """A block as the browser laid it out, in pixels."""

    label: str
    group: str
    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        return self.width * self.height


def tiles(page: Page) -> list[Tile]:
    found = page.evaluate(
        """() => [...document.querySelectorAll(".tile")].map((tile) => {
          const { x, y, width, height } = tile.getBoundingClientRect();
          return [tile.ariaLabel, tile.classList[1], x, y, width, height];
        })"""
    )
    return [Tile(*values) for values in found]


def map_of(page: Page) -> Tile:
    box = page.locator(".map").bounding_box()
    assert box is not None
    return Tile("", "", *(box[side] for side in ("x", "y", "width", "height")))


def overlap(one: Tile, other: Tile) -> float:
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(width, 0) * max(height, 0)


def size_of(tile: Tile, shown: Report, merged: dict[str, int]) -> int:
    name = tile.label.partition(", ")[0]
    if name.endswith(" smaller"):
        return merged[tile.group]
    return next(m.nar_size or 0 for m in shown.members if m.name == name)


def merged_sizes(found: list[Tile], shown: Report) -> dict[str, int]:
    """What the blocks that stand for several must be: all that has no block of its own."""
    own = {tile.label.partition(", ")[0] for tile in found}
    left: dict[str, int] = {}
    for item in shown.members:
        if item.name not in own:
            left[item.group] = left.get(item.group, 0) + (item.nar_size or 0)
    return left


@pytest.mark.parametrize("size", [DESKTOP, PHONE, (700, 500)], ids=["desktop", "phone", "tablet"])
@pytest.mark.parametrize("members", [MEMBERS, TAIL], ids=["few", "many"])
def test_areas_are_as_sizes_and_fill_the_map(
    visit: Visit, members: tuple[Member, ...], size: tuple[int, int]
) -> None:
    """Every byte has the same area, whatever block it is in."""
    shown = report(members=members)
    page = visit(shown, size)
    found, whole = tiles(page), map_of(page)
    total = sum(item.nar_size or 0 for item in members)
    merged = merged_sizes(found, shown)
    for tile in found:
        wanted = whole.area * size_of(tile, shown, merged) / total
        # Chromium lays out in 64ths of a pixel.
        assert tile.area == pytest.approx(
            wanted, rel=0.01, abs=0.1 + (tile.width + tile.height) / 16
        )
        assert tile.x >= whole.x - 0.05
        assert tile.y >= whole.y - 0.05
        assert tile.x + tile.width <= whole.x + whole.width + 0.05
        assert tile.y + tile.height <= whole.y + whole.height + 0.05
    assert sum(tile.area for tile in found) == pytest.approx(whole.area, rel=0.005)
    for one, other in itertools.combinations(found, 2):
        assert overlap(one, other) < (one.width + one.height) / 16


def test_groups_lie_together(visit: Visit) -> None:
    """Each in one box of its own, so that its share is seen at once."""
    page = visit(report(members=TAIL))
    found = tiles(page)
    for group in ("python", "cuda", "other"):
        part = [tile for tile in found if tile.group == group]
        left, top = min(tile.x for tile in part), min(tile.y for tile in part)
        right = max(tile.x + tile.width for tile in part)
        bottom = max(tile.y + tile.height for tile in part)
        box = (right - left) * (bottom - top)
        assert sum(tile.area for tile in part) == pytest.approx(box, rel=0.01)


@pytest.mark.parametrize(
    ("group", "title"), [("python", "Python"), ("cuda", "CUDA"), ("other", "Rest")]
)
def test_the_table_of_sums_is_the_legend(visit: Visit, group: str, title: str) -> None:
    """It shows each group's colour beside its name."""
    page = visit(report())
    colour = "element => getComputedStyle(element).backgroundColor"
    row = page.locator("#sizes tbody tr").filter(has_text=title)
    swatch = row.locator(".swatch").evaluate(colour)
    assert swatch == page.locator(f".tile.{group}").first.evaluate(colour)


def test_blocks_are_near_to_squares(visit: Visit) -> None:
    """Slivers can neither be compared nor hit."""
    found = tiles(visit(report(members=TAIL)))
    ratios = sorted(max(t.width / t.height, t.height / t.width) for t in found)
    assert ratios[len(ratios) // 2] < 2
    assert len([ratio for ratio in ratios if ratio > 5]) <= 3


def test_what_is_too_small_is_one_block(visit: Visit) -> None:
    """With the number and the sum of what it stands for."""
    page = visit(report(members=TAIL))
    found = tiles(page)
    smaller = [tile for tile in found if " smaller, " in tile.label]
    assert {tile.group for tile in smaller} == {"python", "cuda", "other"}
    hidden = sum(int(tile.label.split()[0]) for tile in smaller)
    assert hidden + len(found) - len(smaller) == len(TAIL)
    assert all(
        re.fullmatch(r"\d+ smaller, (Python|CUDA|Rest): [\d.]+ MB, together", tile.label)
        for tile in smaller
    )
    assert min(tile.area for tile in found if tile not in smaller) > 90


def test_a_block_says_what_it_is(visit: Visit) -> None:
    """To assistive software always; to the eye as far as it fits, and when pointed at."""
    page = visit(report())
    tile = page.locator(".tile").first
    label = "python3.12-torch-2.9.1, Python: 1.9 GB, with all that it needs 3.8 GB"
    assert tile.get_attribute("aria-label") == label
    assert tile.inner_text().split() == ["torch-2.9.1", "1.9", "GB"]
    hint = page.locator(".hint")
    idle = hint.inner_text()
    tile.hover()
    assert hint.inner_text() == label.replace(", Python", " Python", 1)
    page.locator("h1").hover()
    assert hint.inner_text() == idle
    tile.focus()
    assert hint.inner_text() == label.replace(", Python", " Python", 1)


@pytest.mark.parametrize(
    "others", [(), (member("full", Group.PYTHON, 100),)], ids=["alone", "beside"]
)
def test_an_empty_object_has_no_block(visit: Visit, others: tuple[Member, ...]) -> None:
    """It would have no area; where there is nothing else, there is no map."""
    page = visit(report(members=(member("empty", Group.OTHER, 0), *others)))
    assert [tile.label.partition(", ")[0] for tile in tiles(page)] == [
        other.name for other in others
    ]
    assert page.locator(".map").count() == len(others)


@pytest.mark.parametrize("members", [MEMBERS, TAIL], ids=["few", "many"])
def test_arrow_keys_reach_every_block(visit: Visit, members: tuple[Member, ...]) -> None:
    """From the one that Tab reaches."""
    page = visit(report(members=members))
    reached = page.evaluate(
        """() => {
          const left = [document.querySelector(".tile[tabindex='0']")];
          const reached = new Set(left);
          while (left.length) {
            const tile = left.pop();
            for (const key of ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]) {
              tile.focus();
              const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
              if (tile.dispatchEvent(event)) throw new Error("the page would scroll");
              const next = document.activeElement;
              if (!reached.has(next)) { reached.add(next); left.push(next); }
            }
          }
          return [...reached].map((tile) => tile.ariaLabel);
        }"""
    )
    assert sorted(reached) == sorted(tile.label for tile in tiles(page))


def test_an_arrow_key_goes_where_it_points(visit: Visit) -> None:
    """And takes the place in the tab order along."""
    page = visit(report())
    first = page.locator(".tile").first
    first.focus()
    before = first.bounding_box()
    page.keyboard.press("ArrowRight")
    after = page.locator(":focus").bounding_box()
    assert before is not None
    assert after is not None
    assert after["x"] >= before["x"] + before["width"] - 1
    assert page.locator(".tile[tabindex='0']:focus").count() == 1
    assert first.get_attribute("tabindex") == "-1"
    page.keyboard.press("ArrowLeft")
    assert first.evaluate("tile => tile === document.activeElement")


@pytest.mark.parametrize("way", ["click", "Enter"])
def test_a_block_leads_to_its_row(visit: Visit, way: str) -> None:
    """Even if a search had hidden it."""
    page = visit(report())
    page.locator("#objects-search").fill("glibc")
    tile = page.locator(".tile[aria-label^='cuda12.8-libcublas']")
    if way == "click":
        tile.click()
    else:
        tile.press(way)
    row = page.locator("tr:focus")
    assert row.locator("th").inner_text() == "cuda12.8-libcublas-12.8.4.1-lib"
    assert page.locator("tr.selected").count() == 1
    box, window = row.bounding_box(), page.viewport_size
    assert box is not None
    assert window is not None
    assert 0 <= box["y"] <= window["height"] - box["height"]


def test_a_block_leads_to_a_row_beyond_the_first_ones(visit: Visit) -> None:
    """The table then shows all."""
    page = visit(report(members=TAIL))
    page.locator("#objects thead button:text-is('Own size')").click()
    page.locator(".tile[aria-label^='lib1-1.0,']").click()
    assert page.locator("tr:focus th").inner_text() == "lib1-1.0"
    assert page.locator("tr:focus").is_visible()


def test_the_map_follows_the_window(visit: Visit) -> None:
    """Turned phones and dragged windows; the focus stays on its block."""
    page = visit(report())
    page.locator(".tile").nth(2).focus()
    label = page.locator(":focus").get_attribute("aria-label")
    page.locator(".tile").first.evaluate("tile => tile.classList.add('old')")
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    # Not `wait_for_function`: it evaluates text, as the page's policy forbids.
    page.locator(".old").wait_for(state="detached")
    whole = map_of(page)
    assert whole.width < PHONE[0]
    assert sum(tile.area for tile in tiles(page)) == pytest.approx(whole.area, rel=0.005)
    assert page.locator(":focus").get_attribute("aria-label") == label


def test_one_object_fills_the_map(visit: Visit) -> None:
    """The smallest closure that there is."""
    page = visit(report(members=(member("alone", Group.OTHER, 1),)))
    (tile,) = tiles(page)
    assert tile.label == "alone, Rest: 1 byte, with all that it needs 1.0 kB"
    assert tile.area == pytest.approx(map_of(page).area, rel=0.001)
