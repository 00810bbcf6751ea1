"""Text becomes elements, and stays text."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.inspect.page.markup import element, prose, to_html
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


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("run `a <b>`, then `c`", "<p>run <code>a &lt;b&gt;</code>, then <code>c</code></p>"),
        ("`a`", "<p><code>a</code></p>"),
        ("one ` alone", "<p>one ` alone</p>"),
        ("`a` and ` alone", "<p>`a` and ` alone</p>"),
        ("", "<p></p>"),
    ],
)
def test_what_stands_between_backticks_is_code(text: str, html: str) -> None:
    """Where they come in pairs."""
    assert to_html(element("p", *prose(text))) == html
