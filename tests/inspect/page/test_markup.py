"""Text becomes elements, and stays text."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.inspect.page.markup import advice, code, element, prose, to_html
from nixenv.text import printable


class Reader(HTMLParser):
    """Collects what a browser would see of one element."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


@given(st.text(st.characters(categories=None) | st.sampled_from("<>&\"'`;!-/")))
def test_any_text_is_read_back_as_it_is(text: str) -> None:
    """Whatever bytes a file name stands for: in an element, after one, and in an attribute."""
    html = to_html(element("p", text, element("b", text), text, title=text))
    html.encode()
    seen = read(html)
    assert seen.tags == ["p", "b"]
    assert seen.attributes == [("title", printable(text))]
    assert seen.text == 3 * printable(text)


def test_what_turns_text_around_is_shown_as_an_escape() -> None:
    """A right-to-left override would show `gpj.sh` for `hs.jpg`; a surrogate is no UTF-8."""
    assert to_html(element("p", "a\u202eb\udcffc\nd")) == r"<p>a\u202eb\udcffc\nd</p>"


def test_what_stands_between_backticks_is_code() -> None:
    """And escaped like all else."""
    html = to_html(element("p", *prose("run `a <b>`, then `c`")))
    assert html == "<p>run <code>a &lt;b&gt;</code>, then <code>c</code></p>"


@pytest.mark.parametrize(
    ("text", "pasted"),
    [
        ("`unset CC`", {"unset CC": "paste last"}),
        ("edit it (`flox edit`): `a = {}`", {"a = {}": "paste last"}),
        ("take `A=b c d`, or `--layout linked`; it works", {"A=b c d": "paste"}),
        ("set `CC`", {"CC": "paste last"}),
        ("set `CC` again", {}),
        ("start it again", {}),
    ],
)
def test_what_is_to_be_pasted_is_marked(text: str, pasted: dict[str, str]) -> None:
    """The line that ends a sentence; else each line in it, but neither words nor options."""
    marked = element("p", *advice(text)).iter("code")
    classes = {line.text: line.get("class") for line in marked if line.get("class")}
    assert classes == pasted


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        (f"/nix/store/{'a' * 32}-torch-2.9/lib", [f"/nix/store/{'a' * 32}-"]),
        (f"25.0  /a/{'0' * 32}-b:/a/{'1' * 32}-c", [f"/a/{'0' * 32}-", f"/a/{'1' * 32}-"]),
        (f"/nix/store/{'e' * 32}-torch-2.9", []),
        ("/usr/lib", []),
        ("/a" * 100_000, []),
    ],
    ids=["path", "list", "hash", "none", "long"],
)
def test_what_nobody_reads_of_a_store_path_is_set_apart(text: str, apart: list[str]) -> None:
    """Up to its hash; the text stays whole."""
    made = code(text)
    assert [span.text for span in made.iter("span")] == apart
    assert "".join(made.itertext()) == text
