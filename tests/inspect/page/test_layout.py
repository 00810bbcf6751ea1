"""How the page looks: sizes of the window, light and dark, paper, no script, hostile names."""

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, Route, expect

from nixenv.findings import Code, Finding, Severity
from nixenv.inspect.components import Group
from nixenv.inspect.page.render import render_page
from nixenv.inspect.report import Report
from tests.inspect.page.conftest import DESKTOP, PHONE, Visit
from tests.inspect.page.reports import (
    FINDINGS,
    MEMBERS,
    ROOT,
    hostile,
    member,
    members,
    report,
    works,
)

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

# Of each element that shows text of its own: the contrast between that and what is behind it.
CONTRASTS = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => channels(colour).slice(0, 3)
    .map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, index) => sum + c * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return channels(colour)[3] === 0 ? behind(element.parentElement) : colour;
  };
  const shows = (element) => element.getClientRects().length > 0 && [...element.childNodes]
    .some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  return [...document.body.querySelectorAll("*")].filter(shows).map((element) => {
    const pair = [light(getComputedStyle(element).color), light(behind(element))];
    return [
      (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05),
      element.outerHTML.slice(0, 80),
    ];
  });
}"""

ACCESSIBILITY_FAULTS = """() => {
  const faults = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const name = (element) => element.ariaLabel || element.textContent.trim()
    || (element.getAttribute("aria-labelledby") ?? "").split(" ")
      .map((id) => document.getElementById(id)?.textContent ?? "").join("");
  if (document.documentElement.lang !== "en") faults.push("no language");
  if (!document.title) faults.push("no title");
  for (const landmark of ["body > header", "body > nav", "body > main", "h1"]) {
    if (all(landmark).length !== 1) faults.push(`not one ${landmark}`);
  }
  const ids = all("[id]").map((element) => element.id);
  if (new Set(ids).size !== ids.length) faults.push("an id twice");
  for (const element of all("button, a, summary, section, nav, [role=region], [role=group]")) {
    if (!name(element)) faults.push(`no name: ${element.outerHTML.slice(0, 80)}`);
  }
  for (const input of all("input")) {
    if (input.labels.length === 0) faults.push(`no label: ${input.id}`);
  }
  for (const link of all("a")) {
    if (!document.querySelector(link.getAttribute("href"))) faults.push(`leads nowhere: ${link}`);
  }
  let level = 0;
  for (const heading of all("h1, h2, h3, h4")) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) faults.push(`skips a level: ${heading.textContent}`);
    level = next;
  }
  for (const table of all("table")) {
    if (table.querySelector("thead th:not([scope=col]), tbody th:not([scope=row])")) {
      faults.push("a heading of a table without scope");
    }
  }
  for (const picture of all("body > svg, .icon")) {
    if (picture.getAttribute("aria-hidden") !== "true") faults.push("a picture without words");
  }
  return faults;
}"""

HOSTILE = (
    "</script><script>window.pwned = 1; alert(1)</script>",
    "<img src=x onerror='window.pwned = 1'>",
    "\u202egnp.exe\u2066 \u2028 \udcff \x00 \x1b[31m",
    '" onclick="window.pwned = 1" x=\'',
    "</title></style></table><iframe src='https://example.invalid/'></iframe>-->]]>",
    "${script} $style {{ 7*7 }} `a` &lt; &amp;",
)


def contrasts(page: Page) -> list[tuple[float, str]]:
    found: list[tuple[float, str]] = page.evaluate(CONTRASTS)
    return found


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_is_no_wider_than_the_window(visit: Visit, size: tuple[int, int]) -> None:
    """Long names break, and wide tables scroll by themselves."""
    name = f"python3.12-{'x' * 200}"
    finding = Finding(Code.CUDA_NONE, Severity.ERROR, name, (name,), name)
    shown = report(
        findings=(finding, *FINDINGS),
        root=ROOT._replace(program=name),
        members=(*MEMBERS, member(name, Group.PYTHON, 10**9)),
        variables={name: name},
    )
    page = visit(shown, size)
    assert page.evaluate(OVERFLOW) == 0
    for more in page.locator("summary").all():
        more.click()
    assert page.evaluate(OVERFLOW) == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("make", [report, works], ids=["broken", "works"])
def test_all_text_can_be_read(visit: Visit, make: Any, dark: bool) -> None:
    """Contrast as WCAG AA wants it of text of this size, and of each severity's label."""
    page = visit(make(), dark=dark)
    found = contrasts(page)
    assert len(found) > 100
    assert [(ratio, where) for ratio, where in found if ratio < 4.5] == []


def test_dark_is_dark(visit: Visit) -> None:
    """The page takes the reader's choice."""
    background = "getComputedStyle(document.body).backgroundColor"
    assert visit(report(), dark=True).evaluate(background) == "rgb(20, 23, 26)"
    assert visit(report()).evaluate(background) == "rgb(247, 248, 249)"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_groups_differ_by_lightness_too(visit: Visit, dark: bool) -> None:
    """Who tells no colours apart still sees three."""
    page = visit(report(), dark=dark)
    light = page.evaluate(
        """() => ["python", "cuda", "other"].map((group) => {
          const colour = getComputedStyle(document.querySelector(`.tile.${group}`)).backgroundColor;
          const [r, g, b] = colour.match(/\\d+/g).map((c) => (c / 255) ** 2.2);
          return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
        }).sort()"""
    )
    assert light[1] / light[0] > 1.4
    assert light[2] / light[1] > 1.4


@pytest.mark.parametrize("severity", ["error", "warning", "note"])
def test_severity_is_told_by_word_and_shape(visit: Visit, severity: str) -> None:
    """Not by colour alone."""
    label = visit(report()).locator(f"article.{severity} .severity")
    assert label.inner_text().strip().lower() == severity
    assert label.locator("use").get_attribute("href") == f"#icon-{severity}"
    box = label.locator("svg").bounding_box()
    assert box is not None
    assert box["width"] > 10


@pytest.mark.parametrize("shown", [report(), works(members=())], ids=["broken", "bare"])
def test_the_page_is_built_as_assistive_software_wants_it(visit: Visit, shown: Report) -> None:
    """Language, landmarks, names, labels, headings in order."""
    assert visit(shown).evaluate(ACCESSIBILITY_FAULTS) == []


def test_without_script_nothing_is_missing(visit: Visit) -> None:
    """Findings, sums and all rows of all tables are in the page itself."""
    shown = report(members=members(*range(400)))
    page = visit(shown, script=False)
    assert page.locator("#findings article").count() == len(FINDINGS)
    assert page.locator("#objects tbody tr:visible").count() == 400
    assert page.locator("#sizes .total").inner_text().split() == ["All", "400", "79.8", "kB"]
    assert page.locator("input, thead button").count() == 0


def test_without_script_a_long_table_says_what_it_leaves_out(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows that are packed need it."""
    monkeypatch.setattr("nixenv.inspect.page.tables.LISTED", 300)
    page = visit(report(members=members(*range(400))), script=False)
    assert page.locator("#objects tbody tr:visible").count() == 300
    assert page.get_by_text("100 more rows are packed, for the script").is_visible()


def test_the_first_screen_of_a_phone(visit: Visit) -> None:
    """What is wrong, what to do and of what; a path takes no more than its name does."""
    page = visit(report(), PHONE)
    for shown in (".verdict", ".cause", ".next .copy", ".facts dd"):
        box = page.locator(f"header {shown}").first.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < PHONE[1]
    paths = page.locator("header .facts code")
    assert paths.count() > 1
    for path in paths.all():
        assert path.evaluate("code => code.getClientRects().length") <= 2


def test_a_path_that_is_cut_is_copied_whole(visit: Visit) -> None:
    """Somebody will paste it."""
    page = visit(report(), PHONE)
    path = page.locator("header .facts code").first
    cut = path.locator(".store").bounding_box()
    assert cut is not None
    assert cut["width"] < 60
    path.evaluate("code => getSelection().selectAllChildren(code)")
    page.keyboard.press("ControlOrMeta+c")
    assert pasted(page) == ROOT.path


def test_what_differs_is_marked_and_comes_first(visit: Visit) -> None:
    """By a word, and the word can be searched for."""
    page = visit(report())
    assert page.locator("#variables > p").inner_text() == "2 of 4 differ from what they should be."
    rows = page.locator("#variables tbody tr")
    names = ["CUDA_HOME", "PYTHONPATH", "PYTHONHOME", "SGLANG_PORT"]
    assert rows.locator("th").all_inner_texts() == names
    assert page.locator("#variables tr.differs th").all_inner_texts() == names[:2]
    page.locator("#variables-search").fill("differs")
    assert rows.locator("th").all_inner_texts() == names[:2]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_variables_as_they_are_stand_on_the_screen(visit: Visit, size: tuple[int, int]) -> None:
    """Beside what they should be, or on a phone below it, with a label each."""
    page = visit(report(), size)
    for cell in page.locator("#variables tbody td").all():
        box = cell.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size[0]
    label = "cell => getComputedStyle(cell, '::before').content"
    is_phone = size == PHONE
    first = page.locator("#variables tbody tr").first
    wanted, now = [cell.evaluate(label) for cell in first.locator("td").all()]
    assert ("should be" in wanted, "is" in now) == (is_phone, is_phone)
    assert page.locator("#variables thead").is_visible() is not is_phone


def pasted(page: Page) -> str:
    """Paste into a field, as its user would."""
    search = page.locator("#objects-search")
    search.focus()
    page.keyboard.press("ControlOrMeta+v")
    return search.input_value()


@pytest.mark.parametrize("way", ["click", "Enter"])
@pytest.mark.parametrize(
    "before",
    [
        "",
        "navigator.clipboard.writeText = () => Promise.reject(new Error())",
        "Object.defineProperty(navigator, 'clipboard', { value: undefined })",
    ],
    ids=["clipboard", "refused", "none"],
)
def test_a_line_is_copied_by_its_button(visit: Visit, way: str, before: str) -> None:
    """Verbatim; the button says that it was, and is named after the line."""
    page = visit(report(), before=before)
    line = 'libcublas.outputs = "all"'
    button = page.get_by_role("button", name=f"Copy {line}", exact=True)
    assert button.inner_text() == "Copy"
    if way == "click":
        button.click()
    else:
        button.press(way)
    expect(button).to_have_text("Copied")
    assert pasted(page) == line


def test_where_nothing_can_be_copied_the_line_is_selected(visit: Visit) -> None:
    """The reader presses the keys."""
    before = """Object.defineProperty(navigator, "clipboard", { value: undefined });
      document.execCommand = () => false;"""
    page = visit(report(), before=before)
    button = page.locator("article.warning .copy")
    button.click()
    expect(button).to_have_text("Selected")
    assert page.evaluate("getSelection().toString()") == 'libcublas.outputs = "all"'


def test_on_paper_all_evidence_is_open_and_the_table_is_short(visit: Visit) -> None:
    """Nobody prints ten thousand rows, nor presses a button there."""
    page = visit(report(members=members(*range(1, 401))))
    page.emulate_media(media="print")
    assert page.get_by_text("/evidence/11", exact=True).is_visible()
    assert page.locator("#objects tbody tr:visible").count() == 100
    assert page.get_by_text("On paper only the first 100 are shown").is_visible()
    assert page.locator("input:visible, nav:visible").count() == 0
    assert page.locator(".map").is_visible()


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_becomes_more_than_text(visit: Visit, text: str) -> None:
    """In whatever field it comes, it is shown and does nothing."""
    page = visit(hostile(report(), text))
    assert page.evaluate("window.pwned") is None
    assert page.locator("img, iframe, [onclick], [onerror]").count() == 0
    assert page.locator("script").count() == 1
    page.locator(".tile").first.focus()
    page.keyboard.press("Enter")
    page.locator("#objects thead button").first.click()
    page.locator("#objects-search").fill(text.replace("\0", ""))
    assert page.evaluate("window.pwned") is None


@pytest.mark.parametrize("text", HOSTILE[:2] + HOSTILE[3:])
def test_a_hostile_name_can_be_read(visit: Visit, text: str) -> None:
    """The reader must see what it is."""
    page = visit(report(modules=(), members=(member(text, Group.PYTHON, 5),)))
    assert page.locator("#objects tbody th").inner_text() == text
    assert (page.locator(".tile").get_attribute("aria-label") or "").startswith(f"{text}, ")


ELSEWHERE = "https://example.invalid/"
# What got in could try; each is over when its promise is.
ATTEMPTS = {
    "script": """Promise.resolve(document.body.append(
      Object.assign(document.createElement("script"), { textContent: "window.pwned = 1" })))""",
    "handler": """document.body.setAttribute("onclick", "window.pwned = 1");
      document.body.click()""",
    "fetch": f"fetch('{ELSEWHERE}', {{ mode: 'no-cors' }}).catch(() => 0)",
    "image": f"""new Promise((done) => Object.assign(new Image(),
      {{ onload: done, onerror: done, src: "{ELSEWHERE}" }}))""",
    "form": f"""new Promise((done) => {{
      document.addEventListener("securitypolicyviolation", done);
      window.addEventListener("pagehide", done);
      setTimeout(done, 3000);
      document.body.append(Object.assign(document.createElement("form"),
        {{ action: "{ELSEWHERE}" }}));
      document.forms[0].submit();
    }})""",
}


def comes_through(page: Page, attempt: str) -> bool:
    """Say whether it ran anything in the page, or sent anything out of it."""
    sent = []

    def answer(route: Route) -> None:
        sent.append(route.request.url)
        route.fulfill(
            content_type="image/svg+xml", body="<svg xmlns='http://www.w3.org/2000/svg'/>"
        )

    page.route(f"{ELSEWHERE}**", answer)
    with contextlib.suppress(Error):  # a form that is sent takes the page along
        page.evaluate(attempt)
    return bool(sent) or page.evaluate("window.pwned") == 1


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_the_policy_is_in_force(browser: Browser, tmp_path: Path, attempt: str) -> None:
    """Even if something got in, it could neither run nor call out; without the policy it could."""
    # Not by `visit`: Chromium says on the console what it refuses.
    html = render_page(report())
    for name, text, wanted in (
        ("held", html, False),
        ("free", re.sub("<meta http-equiv=[^>]*>", "", html), True),
    ):
        file = tmp_path / f"{name}.html"
        file.write_text(text)
        page = browser.new_page()
        page.goto(file.as_uri())
        assert comes_through(page, attempt) is wanted, name
        page.close()
