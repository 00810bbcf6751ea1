"""The page as text: what it holds with and without the parts that a report may lack."""

import json
import random
import re
import string
import zlib
from base64 import b64decode
from html.parser import HTMLParser
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from nixenv.evidence.distributions import Distribution
from nixenv.evidence.gpu import Gpu, GpuDriver
from nixenv.inspect.components import Group
from nixenv.inspect.page.render import render_page
from nixenv.inspect.report import Member, Module
from nixenv.storepath import StorePath
from nixenv.text import printable
from tests.inspect.page.reports import (
    DRIVER,
    FINDINGS,
    INVENTORY,
    MACHINE,
    ROOT,
    hostile,
    member,
    report,
    works,
)


def text_of(page: str) -> str:
    body = page.partition("</svg>")[2].rpartition("<script>")[0]
    return " ".join(re.sub("<[^>]*>", " ", body).split())


def test_the_same_report_gives_the_same_page() -> None:
    """Nothing of the moment or of the machine is in it."""
    assert render_page(report()) == render_page(report())


def test_verdict_cause_and_next_step_come_first() -> None:
    """They are what the reader has ten minutes for."""
    text = text_of(render_page(report()))
    assert text.startswith(
        "nixenv inspect sglang Broken 1 member of the closure is not on disk; export refuses "
        "Next: run nix-store --repair-path "
    )


def test_where_all_is_well_nothing_is_to_be_done() -> None:
    """No next step, and no finding."""
    text = text_of(render_page(works(next_step="")))
    assert text.startswith("nixenv inspect sglang Works Root ")
    assert "Next:" not in text
    assert "Findings None: nothing to know about it." in text


def test_a_finding_names_its_explanation() -> None:
    """The command that gives it: the page is read where the documentation is not."""
    page = text_of(render_page(report()))
    assert "nixenv explain cuda-runtime-headers-missing says more" in page


def test_the_first_of_several_distributions_wins() -> None:
    """By their normalised names, in the order of the directories."""
    page = render_page(report())
    assert re.search("packaging</th><td>25.0</td><td>yes</td>", page)
    assert re.search("Packaging</th><td>24.2</td><td>no, 25.0 comes first</td>", page)
    assert re.search("packaging</th><td>20.9</td><td>no, 25.0 comes first</td>", page)


def test_the_sums_of_the_groups() -> None:
    """Of the objects whose size is known; the others are counted."""
    members = (
        member("a", Group.PYTHON, 1000),
        member("b", Group.PYTHON, 2000),
        member("c", Group.CUDA, 5000),
        member("d", Group.OTHER, None),
    )
    text = text_of(render_page(report(members=members)))
    assert (
        "Group Objects Size Python 2 3.0 kB CUDA 1 5.0 kB Rest 0 0 bytes All 3 8.0 kB "
        "The size of 1 more is not known."
    ) in text


def test_without_sizes_there_is_no_map() -> None:
    """But a word on why."""
    members = (member("a", Group.PYTHON, None), member("b", Group.CUDA, None))
    page = render_page(report(members=members))
    assert "Sizes are not known: there was no Nix to ask" in page
    assert 'id="treemap"' not in page


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"inventory": None, "modules": (), "variables": {}}, "Variables None."),
        ({"machine": None}, "Machine Not looked at."),
        ({"members": (), "source": None}, "Store objects None."),
        ({"root": ROOT._replace(program=None)}, "nixenv inspect /nix/store/"),
        ({"inventory": INVENTORY._replace(cuda=None)}, "CUDA None in the closure."),
    ],
    ids=["inventory", "machine", "members", "program", "cuda"],
)
def test_a_part_may_be_missing(changes: dict[str, Any], told: str) -> None:
    """The page says so, where it is not plain."""
    assert told in text_of(render_page(report(**changes)))


def test_a_machine_without_gpu() -> None:
    """Nothing is made up."""
    bare = evolve(MACHINE, avx2=None, driver=GpuDriver())
    text = text_of(render_page(report(machine=bare)))
    assert "GPUs none seen Driver not known libcuda.so.1 none" in text
    assert "x86_64, AVX2: not known" in text


def test_a_gpu_that_tells_little() -> None:
    """An old nvidia-smi knows neither compute capability nor memory."""
    driver = evolve(DRIVER, gpus=(Gpu("Tesla K80", None, None),), failure="exit status 9")
    text = text_of(render_page(report(machine=evolve(MACHINE, driver=driver))))
    assert "GPUs GPU 0, Tesla K80 Driver 570.86.15 exit status 9" in text


def test_variables_that_are_as_they_should_be() -> None:
    """The page says so; where the machine was not looked at, it says nothing of it."""
    right = {"CUDA_HOME": "/usr/local/cuda", "PYTHONHOME": None}
    page = render_page(report(variables=right))
    assert "All are as they should be." in page
    assert "differ" not in text_of(page)
    alone = text_of(render_page(report(variables=right, machine=None)))
    assert "as they should be" not in alone
    assert "As it is" not in alone


def test_of_much_evidence_the_page_holds_what_somebody_reads() -> None:
    """A page of 50,000 lines does not open; --json has them."""
    many = FINDINGS[0]._replace(evidence=tuple(f"/{n}/" for n in range(5000)))
    text = text_of(render_page(report(findings=(many,))))
    assert "4997 more" in text
    assert "/1002/ and 3997 more, which nixenv inspect --json lists" in text
    assert "/1003/" not in text


def large_closure(size: int) -> tuple[tuple[Member, ...], tuple[Module, ...]]:
    """Store objects with names of real length, and the site-packages of every third."""
    rng = random.Random(size)
    members = []
    for n in range(size):
        word = "".join(rng.choices(string.ascii_lowercase, k=12))
        name = f"python3.12-{word}-{n % 40}.{n % 9}.1"
        digest = "".join(rng.choices("0123456789abcdfghijklmnpqrsvwxyz", k=32))
        path = StorePath(f"/nix/store/{digest}-{name}")
        sizes = (rng.randrange(10**7), rng.randrange(10**9))
        members.append(Member(path, name, Group.PYTHON, *sizes))
    modules = tuple(
        Module(f"{m.path}/lib/python3.12/site-packages", n % 2 == 0, (Distribution(m.name, "1"),))
        for n, m in enumerate(members[::3])
    )
    return tuple(members), modules


def test_a_page_of_50_000_paths_is_small() -> None:
    """Under 5 MB, and each of them is in it."""
    members, modules = large_closure(50_000)
    everywhere = {"PYTHONPATH": ":".join(module.directory for module in modules)}
    page = render_page(report(members=members, modules=modules, variables=everywhere))
    assert len(page.encode()) < 5_000_000
    objects = page.partition('id="objects"')[2].partition("</section>")[0]
    packed = re.search('data-rest="([^"]*)"', objects)
    assert packed is not None
    rest = json.loads(zlib.decompress(b64decode(packed[1])))
    listed = re.findall("<code>([^<]*)</code></td></tr>", objects)
    assert sorted([*listed, *(path for *_, path in rest)]) == sorted(m.path for m in members)


class Shape(HTMLParser):
    """What a browser would make of a page, but for its texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


PLAIN = Shape(render_page(hostile(report(), "plain")))


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(categories=None) | st.sampled_from("<>&\"'=/; -!"), min_size=1))
def test_no_text_changes_what_the_page_is_made_of(text: str) -> None:
    """In every field at once: it is shown, and nothing comes of it."""
    text = text.replace("`", "")[:100] or "`"  # which would make code of a part
    seen = Shape(render_page(hostile(report(), text)))
    assert seen.tags == PLAIN.tags
    assert seen.texts.count(printable(text)) >= PLAIN.texts.count("plain")


def test_a_long_list_is_folded_into_its_entries() -> None:
    """One a line; a long value that is no list stays whole."""
    path, prose = ":".join(f"/directory/{n}" for n in range(100)), "a:b" * 100
    page = render_page(report(variables={"PYTHONPATH": path, "OTHER": prose, "EMPTY": ""}))
    assert f"<summary>100 entries, {len(path)} characters</summary>" in page
    assert "<li><code>/directory/99</code></li>" in page
    assert f"<summary>one long value, 300 characters</summary><ul><li><code>{prose}" in page
