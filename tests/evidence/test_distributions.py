"""What the second look finds in site-packages directories: real shapes, and any bytes at all."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from attrs import asdict
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.closure import SglangClosure
from nixenv import probe_closure, query_closure
from nixenv.evidence.distributions import (
    Distribution,
    SiteListing,
    match_extension,
    probe_distributions,
)
from nixenv.road.probe import Probe, StoreObject
from nixenv.storepath import StorePath

METADATA = """\
Metadata-Version: 2.4
Name: Example.Thing
Version: 1.2.3
Summary: Jürgen's
        thing
Classifier: Programming Language :: Python :: 3
Requires-Python: >=3.10
Requires-Dist: numpy<3,>=2.0
Requires-Dist: tomli>=1.1.0; python_version < "3.11"
Requires-Dist: uvloop>=0.15.1; (sys_platform != "win32" and
 platform_python_implementation != "PyPy") and extra == 'standard'
Provides-Extra: standard

Version: 9.9.9
Requires-Dist: not-this
"""
RECORD = """\
../../../bin/example.py,sha256=Zo0,212
_example.cpython-312-x86_64-linux-gnu.so,sha256=U7f,90216
example/__init__.py,sha256=47DEQ,0
"example/a,b.py",sha256=47DEQ,0
"example_quoted.py",sha256=47DEQ,0
example/_fast.cpython-311-x86_64-linux-gnu.so,sha256=q0w,1
example/_gone.cpython-311-x86_64-linux-gnu.so,sha256=q0w,1
example/data/../../../x.cpython-311-x86_64-linux-gnu.so,sha256=q0w,1
example_data/names.txt,sha256=47DEQ,0
example_thing-1.2.3.data/scripts/run.py,sha256=47DEQ,0
example_thing-1.2.3.dist-info/METADATA,sha256=47DEQ,0
example_thing-1.2.3.dist-info/RECORD,,
"""

Files = Mapping[str, str | bytes]


def look(place: Path, files: Files) -> SiteListing:
    site = place / "lib/python3.12/site-packages"
    for name, content in files.items():
        file = site / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return look_again(place)


def look_again(place: Path) -> SiteListing:
    found = StoreObject(StorePath(str(place)), site_packages=("3.12",))
    (listing,) = probe_distributions(Probe((found,)))
    return listing


def test_metadata_is_read_up_to_its_body(tmp_path: Path) -> None:
    """Name, version and requirements are those of the header, lines that go on included."""
    listing = look(tmp_path, {"example_thing-1.2.3.dist-info/METADATA": METADATA})
    assert listing.directory == f"{tmp_path}/lib/python3.12/site-packages"
    assert listing.distributions == (
        Distribution(
            "Example.Thing",
            "1.2.3",
            (
                "numpy<3,>=2.0",
                'tomli>=1.1.0; python_version < "3.11"',
                'uvloop>=0.15.1; (sys_platform != "win32" and '
                "platform_python_implementation != \"PyPy\") and extra == 'standard'",
            ),
        ),
    )


@pytest.mark.parametrize(
    ("files", "name", "version"),
    [
        ({"a_b-1.0.dist-info/RECORD": ""}, "a_b", "1.0"),
        ({"a_b-1.0.dist-info/METADATA": b"\x00\xff\xfe"}, "a_b", "1.0"),
        ({"a_b-1.0.dist-info/METADATA": "Name: a\0b\nVersion: \0\n"}, "a_b", "1.0"),
        ({"a_b.egg-info/top_level.txt": ""}, "a_b", "?"),
        ({"a_b-1.0-py3.12.egg-info": "Name: a-b\nVersion: 1.0\n"}, "a-b", "1.0"),
        (
            {"a_b.egg-info/PKG-INFO": "name: a-b\r\nversion: 1.0\r\n\r\nVersion: 2\r\n"},
            "a-b",
            "1.0",
        ),
    ],
    ids=["none", "binary", "nul", "egg without", "egg file", "egg directory"],
)
def test_other_metadata(tmp_path: Path, files: Files, name: str, version: str) -> None:
    """Of eggs it is in another file; where nothing tells, the name of the directory does."""
    (found,) = look(tmp_path, files).distributions
    assert (found.name, found.version) == (name, version)


def test_modules_are_those_of_record(tmp_path: Path) -> None:
    """Of what a distribution says it has: the names that can be imported, and that are there."""
    listing = look(
        tmp_path,
        {
            "example_thing-1.2.3.dist-info/METADATA": METADATA,
            "example_thing-1.2.3.dist-info/RECORD": RECORD,
            "_example.cpython-312-x86_64-linux-gnu.so": "",
            "example/__init__.py": "",
            "example_data/names.txt": "",
            "example_quoted.py": "",
            "other/__init__.py": "",
        },
    )
    assert listing.distributions[0].modules == ("_example", "example", "example_quoted")
    assert listing.packages == ("_example", "example", "example_quoted", "other")


@pytest.mark.parametrize(
    ("files", "modules"),
    [
        ({"A_b-1.dist-info/top_level.txt": "here\ngone\n"}, ("here",)),
        ({"A_b-1.dist-info/RECORD": ""}, ("a_b", "here")),
        ({"A_b-1.dist-info/RECORD": "", "c-1.dist-info/RECORD": ""}, ("a_b",)),
    ],
    ids=["top_level.txt", "the only one", "one of several"],
)
def test_modules_without_record(tmp_path: Path, files: Files, modules: tuple[str, ...]) -> None:
    """By top_level.txt; else all that is there is the only distribution's, or what has its name."""
    listing = look(tmp_path, {**files, "here.py": "", "a_b/__init__.py": ""})
    assert listing.distributions[0].modules == modules


def test_packages_by_how_they_take_others_in(tmp_path: Path) -> None:
    """An __init__ that extends the path is one thing, one that does not another, none a third."""
    pkgutil = "# Licence\n\n__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"
    pkg_resources = (
        "try:\n    import pkg_resources\n    pkg_resources.declare_namespace(__name__)\n"
    )
    listing = look(
        tmp_path,
        {
            "plain/__init__.py": "# extend_path is not called; nor declare_namespace()\n",
            "compiled/__init__.cpython-312-x86_64-linux-gnu.so": "",
            "module.py": "",
            "not-a-module.py": "",
            "azure/__init__.py": pkgutil,
            "zope/__init__.py": pkg_resources,
            "google/protobuf/__init__.py": "",
            "data-files/x.py": "",
            "__pycache__/module.cpython-312.pyc": "",
        },
    )
    assert listing.packages == ("compiled", "module", "plain")
    assert listing.extended == ("azure", "zope")
    assert listing.namespaces == ("google",)


def test_path_files_that_run_code(tmp_path: Path) -> None:
    """Lines that name a directory work on PYTHONPATH too; comments do nothing."""
    listing = look(
        tmp_path,
        {
            "code.pth": "import os; os.environ\n",
            "path.pth": "# a comment\n\ninner\n",
            "comment.pth": "# import os\n\n#inner\n",
            "#inner/module.py": "",
            "gone.pth": "nowhere\nimported\n",
            "self.pth": ".\n",
            "binary.pth": b"\x00\xff",
            ".hidden.pth": "inner\n",
            "inner/module.py": "",
        },
    )
    assert listing.path_files == ("code.pth",)


def test_extensions_that_tell_a_cpython_version(tmp_path: Path) -> None:
    """By RECORD, and by looking where none tells; with the other forms of the same modules."""
    tagged = "cpython-311-x86_64-linux-gnu.so"
    listing = look(
        tmp_path,
        {
            "example_thing-1.2.3.dist-info/METADATA": METADATA,
            "example_thing-1.2.3.dist-info/RECORD": RECORD,
            "_example.cpython-312-x86_64-linux-gnu.so": "",
            "example/__init__.py": "",
            f"example/_fast.{tagged}": "",
            "example/_fast.abi3.so": "",
            "example/_other.abi3.so": "",
            f"example/_unrecorded.{tagged}": "",
            "example/data/names.txt": "",
            f"../x.{tagged}": "",
            f"bindings/lib/_deep.{tagged}": "",
            "bindings/lib/_deep.py": "",
            "bindings/lib/mac.cpython-311-darwin.so": "",
        },
    )
    assert listing.extensions == (
        "_example.cpython-312-x86_64-linux-gnu.so",
        f"bindings/lib/_deep.{tagged}",
        "bindings/lib/_deep.py",
        "example/_fast.abi3.so",
        f"example/_fast.{tagged}",
    )


@pytest.mark.parametrize(
    ("path", "module", "tag"),
    [
        ("_x.cpython-312-x86_64-linux-gnu.so", "_x", "cpython-312"),
        ("a.b/c/_x.cpython-313t-aarch64-linux-musl.so", "a.b/c/_x", "cpython-313t"),
        ("a/_x.cpython-312d-x86_64-linux-gnu.so", "a/_x", "cpython-312d"),
    ],
)
def test_the_name_of_an_extension(path: str, module: str, tag: str) -> None:
    """The module, and what it was built for."""
    match = match_extension(path)
    assert match is not None
    assert (match["module"], match["tag"]) == (module, tag)


def test_what_is_no_file(tmp_path: Path) -> None:
    """Directories, pipes, devices and links in circles in the place of files are passed over."""
    site = tmp_path / "lib/python3.12/site-packages"
    info = site / "a-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").symlink_to("/dev/zero")
    os.mkfifo(info / "RECORD")
    (info / "top_level.txt").mkdir()
    os.mkfifo(site / "pipe.pth")
    (site / "circle").symlink_to("circle")
    (site / "gone").symlink_to("/nowhere")
    (site / "torch").mkdir()
    os.mkfifo(site / "torch/__init__.py")
    listing = look_again(tmp_path)
    assert listing.distributions == (Distribution("a", "1", (), ("torch",)),)
    assert listing.path_files == ()


def test_a_directory_that_cannot_be_read(tmp_path: Path) -> None:
    """It is empty; that it is not there is told elsewhere."""
    listing = look_again(tmp_path)
    assert listing == SiteListing(f"{tmp_path}/lib/python3.12/site-packages", ())


def test_metadata_in_several_encodings(tmp_path: Path) -> None:
    """What is no UTF-8 stands there as it is, beside what is; nothing is decoded as e-mail."""
    metadata = (
        b"Metadata-Version: 2.1\nName: caf\xc3\xa9\xff\nVersion: 1.\xe9\xc3\xa9\n"
        b"Requires-Dist: a\xff\xc3\xa9 (>=1)\nRequires-Dist: =?utf-16?b?AAA=?= x\n"
    )
    wheel = b"Tag: py3-none-\xc3\xa9\xff\n"
    place = "cafe-1.dist-info"
    listing = look(tmp_path, {f"{place}/METADATA": metadata, f"{place}/WHEEL": wheel})
    assert listing.distributions == (
        Distribution(
            "caf\u00e9\udcff",
            "1.\udce9\u00e9",
            ("a\udcff\u00e9 (>=1)", "=?utf-16?b?AAA=?= x"),
            tags=("py3-none-\u00e9\udcff",),
        ),
    )


LINES = st.sampled_from(
    [
        *(line.encode() for line in (*METADATA.splitlines(), *RECORD.splitlines())),
        *(b"", b" ", b"import x", b"inner", b"..", b"/", b"Name:", b"a/" * 2_000 + b"x.py,,"),
        *(
            b"Requires-Dist: \xff",
            b"Name: \xe9\xff",
            b"Requires-Dist: a\0b",
            b"Name: \xc3\xa9\xff",
            b"cuda = '12.8'",
        ),
        b"x" * 5_000 + b".cpython-311-x86_64-linux-gnu.so,,",
    ]
)
CONTENTS = st.binary(max_size=300) | st.lists(LINES | st.binary(max_size=40)).map(b"\n".join)
NAMES = st.sampled_from(
    [
        *("a-1.dist-info/METADATA", "a-1.dist-info/RECORD", "a-1.dist-info/top_level.txt"),
        *("b.egg-info", "c.egg-info/PKG-INFO", "d.pth", "example/__init__.py", "torch/version.py"),
        *("torch/__init__.py", "é\udcff/x.py", "example/_fast.cpython-311-x86_64-linux-gnu.so"),
    ]
)


@settings(deadline=None)
@given(files=st.dictionaries(NAMES, CONTENTS))
def test_no_bytes_on_disk_are_too_much(files: dict[str, bytes]) -> None:
    """Whatever is in the files, the look gives a listing, and one that a snapshot can hold."""
    with tempfile.TemporaryDirectory() as place:
        listing = look(Path(place), files)
    text = json.dumps(asdict(listing), ensure_ascii=False)
    assert "\\u0000" not in text
    os.fsencode(text)  # no surrogate but those that stand for bytes
    for found in listing.distributions:
        assert found.name
        assert found.version


def test_the_fixture_closure(sglang: SglangClosure, environ: dict[str, str]) -> None:
    """The real thing, built by Nix: what its traps are made of."""
    closure = query_closure(StorePath(sglang.root), sglang.store.store_dir, environ)
    found = {
        listing.directory.split("/")[-4].partition("-")[2]: listing
        for listing in probe_distributions(probe_closure(closure, "sglang"))
    }
    minor = sglang.python_minor
    assert found[f"python{minor}-torch-2.9.1"].distributions == (
        Distribution(
            "torch", "2.9.1", ("numpy", "triton", "acme-ns-three"), ("torch",), ("py3-none-any",)
        ),
    )
    assert found[f"python{minor}-acme-ns-one-1.1.0"].namespaces == ("acme_ns",)
    cutlass = found[f"python{minor}-nvidia-cutlass-dsl-4.3.4"]
    assert cutlass.path_files == ()
    environment = found[f"python3-{sglang.python_version}-env"]
    assert [f"{one.name} {one.version}" for one in environment.distributions] == [
        "build 1.2.2",
        "packaging 20.9",
    ]
    assert environment.distributions[1].modules == ("packaging",)
    assert not any(listing.extensions for listing in found.values())
    assert "torch" not in sys.modules
