"""Snapshots: what they replay, and what they must not hold."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.closure import SglangClosure
from fixtures.recorded import RECORDED_SNAPSHOT
from nixenv.evidence.caches import (
    BuildFile,
    CacheContents,
    DirectoryState,
    ForeignDirectory,
)
from nixenv.evidence.contents import Contents
from nixenv.evidence.distributions import Distribution, SiteListing
from nixenv.evidence.gpu import Gpu, GpuDriver
from nixenv.evidence.graph import Graph, Registration
from nixenv.evidence.limits import Limits
from nixenv.evidence.machine import Machine, PortState
from nixenv.evidence.preload import Preloads, Refusal
from nixenv.evidence.toolkit_files import DirectoryListing, ToolkitFiles
from nixenv.evidence.tools import ToolState
from nixenv.road.cuda_files import CudaWheels, Torch
from nixenv.road.launcher import Kind, Launcher, Place, Step
from nixenv.road.modules import FloxModules, ModuleDirectory
from nixenv.road.names import find_names
from nixenv.road.probe import Fault, Probe, StoreObject
from nixenv.road.profile import Profile
from nixenv.road.profile_table import PATH_PARTS
from nixenv.road.query import Closure, Origin
from nixenv.snapshot import Request, Snapshot, SnapshotInvalid, dump_snapshot, parse_snapshot
from nixenv.storepath import StorePath
from tests.closures import store_path
from tests.conftest import Nixenv
from tests.real_shells import LANGUAGE, SHELLS


@pytest.fixture
def file(nixenv: Nixenv, tmp_path: Path) -> Path:
    """A snapshot of the fixture closure."""
    target = tmp_path / "snapshot.json"
    done = nixenv("snapshot", "-o", str(target))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return target


@pytest.mark.parametrize("shell", [*map(LANGUAGE.get, SHELLS), "json", "dotenv"])
def test_a_replay_is_the_live_run_to_the_byte(shell: str, nixenv: Nixenv, file: Path) -> None:
    """`export --from` needs neither Nix nor the store and gives the same text."""
    live = nixenv("export", "--shell", shell)
    replayed = nixenv("export", "--shell", shell, "--from", str(file))
    assert replayed.stdout == live.stdout
    assert replayed.stdout


def test_a_replay_asks_nobody(
    nixenv: Nixenv, file: Path, environ: dict[str, str], sglang: SglangClosure
) -> None:
    """On a machine without Nix and without that store."""
    text = file.read_text().replace(sglang.store.store_dir, "/nix/store")
    file.write_text(text)
    done = nixenv("export", "--from", str(file), environ={"PATH": "", "HOME": environ["HOME"]})
    assert (done.returncode, done.stderr) == (0, "")
    assert "CUDA_HOME '/nix/store/" in done.stdout


def test_inspect_shows_the_same_from_a_snapshot(nixenv: Nixenv, file: Path) -> None:
    """All but where it came from: the snapshot holds what inspect needs."""
    live = json.loads(nixenv("inspect", "--json").stdout)
    replayed = json.loads(nixenv("inspect", "--json", "--from", str(file)).stdout)
    for document in (live, replayed):
        del document["source"], document["root"]["how"], document["root"]["found"]
        del document["made"], document["recorded"]
        for directory in document["machine"]["directories"]:
            del directory["free"], directory["free_files"]  # which change all the time
    assert replayed == live


def test_a_snapshot_of_a_snapshot_is_the_same(nixenv: Nixenv, file: Path) -> None:
    """Nothing is lost on the way."""
    assert nixenv("snapshot", "--from", str(file)).stdout == file.read_text()


def test_of_the_environment_only_what_matters_is_in_it(
    nixenv: Nixenv, environ: dict[str, str]
) -> None:
    """The values that the checks look at, and no token or password."""
    given = {**environ, "HF_TOKEN": "hf_secret", "CPATH": "/usr/local/cuda/include"}
    text = nixenv("snapshot", environ=given).stdout
    assert "/usr/local/cuda/include" in text
    assert environ["FLOX_ENV_CACHE"] in text
    assert "hf_secret" not in text
    assert "HF_TOKEN" not in text


def test_the_machine_can_be_left_out(
    nixenv: Nixenv, environ: dict[str, str], sglang: SglangClosure
) -> None:
    """Every path in it lies in the store then; no environment value, no user, no host name."""
    given = {**environ, "CPATH": environ["HOME"], "LIBRARY_PATH": "/usr/lib"}
    text = nixenv("snapshot", "--no-machine", environ=given).stdout

    def strings(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for key, item in value.items():
                yield str(key)
                yield from strings(item)
        elif isinstance(value, list):
            for item in value:
                yield from strings(item)
        elif isinstance(value, str):
            yield value

    found = set(strings(json.loads(text)))
    paths = {text for text in found if text.startswith("/")}
    assert all(path.startswith(f"{sglang.store.store_dir}/") for path in paths)
    for name in ("HOME", "FLOX_ENV_CACHE", "NIX_BIN", "PATH"):
        assert environ[name] not in found


def test_the_recorded_snapshot_is_of_this_schema(nixenv: Nixenv) -> None:
    """The demo's default replays, and says of itself that it is synthetic."""
    done = nixenv("export", "--from", str(RECORDED_SNAPSHOT))
    assert (done.returncode, done.stderr) == (0, "")
    assert "python3.12-sglang-python312-cuda12_8-all-avx2-0.5.9" in done.stdout
    readme = Path("fixtures/README.md").read_text()
    assert RECORDED_SNAPSHOT.name in readme
    assert "synthetic" in readme


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
versions = st.lists(st.sampled_from(["3.11", "3.12"]), max_size=2).map(tuple)
tuples = st.lists(texts, max_size=2).map(tuple)
programs = st.lists(st.sampled_from(["nvcc", "gcc", "g++"]), max_size=2).map(tuple)
names = st.text("abc+-._?=", min_size=1, max_size=5)


def objects(path: StorePath) -> st.SearchStrategy[StoreObject]:
    directories = st.lists(st.sampled_from([f"{path}/lib", f"{path}/include"])).map(tuple)
    return st.builds(
        StoreObject,
        st.just(path),
        pythons=versions,
        site_packages=versions,
        programs=programs,
        include_dirs=directories,
        library_dirs=directories,
        stub_dirs=directories,
        cuda_marker=st.booleans(),
        propagated=tuples,
        host_compiler=st.none() | texts,
        linked=st.lists(st.just(path), max_size=1).map(tuple),
        mentions=st.lists(st.just(path), max_size=1).map(tuple),
        headers=tuples,
        newest_gcc=st.none() | st.integers(),
        cudart=st.none() | st.just(f"{path}/lib"),
        torch=st.none() | st.builds(Torch, st.none() | st.just("12.8")),
        wheels=st.lists(wheels(path), max_size=2).map(tuple),
    )


def wheels(path: StorePath) -> st.SearchStrategy[CudaWheels]:
    site = f"{path}/lib/python3.12/site-packages"
    directories = st.lists(st.just(f"{site}/nvidia/cu13/lib")).map(tuple)
    return st.builds(
        CudaWheels,
        st.just(f"{site}/nvidia/cu13"),
        st.just(site),
        st.none() | st.just("13.0"),
        programs,
        directories,
        directories,
        tuples,
        st.none() | st.integers(),
        st.none(),
    )


distributions = st.lists(st.builds(Distribution, texts, texts), max_size=2).map(tuple)
gpus = st.lists(st.builds(Gpu, texts, st.none() | texts, st.none() | st.integers()), max_size=2)
variables = st.sampled_from(["PATH", "_x", "A1"])
machines = st.builds(
    Machine,
    architecture=texts,
    avx2=st.none() | st.booleans(),
    variables=st.dictionaries(variables, texts, max_size=2),
    programs=st.dictionaries(texts, texts, max_size=2),
    python_target=st.none() | texts,
    user_site=st.none() | texts,
    tools=st.lists(st.builds(ToolState, variables, texts, texts), max_size=2).map(tuple),
    preloads=st.builds(
        Preloads, st.lists(st.builds(Refusal, texts, texts), max_size=2).map(tuple), texts
    ),
    limits=st.builds(Limits, st.none() | st.integers()),
    interfaces=tuples,
    nvcc_compilers=st.dictionaries(variables, texts, max_size=2),
    driver=st.builds(GpuDriver, tuples, gpus=gpus.map(tuple)),
    directories=st.lists(
        st.builds(DirectoryState, variables, texts, texts, st.booleans(), st.none() | st.integers())
    ).map(tuple),
    caches=st.builds(
        CacheContents,
        texts,
        st.lists(st.builds(BuildFile, texts, texts), max_size=2).map(tuple),
        tuples,
        st.lists(st.builds(ForeignDirectory, texts, texts, st.booleans()), max_size=2).map(tuple),
    ),
    ports=st.lists(st.builds(PortState, variables, st.integers(), texts)).map(tuple),
)


asked_version = st.none() | st.sampled_from(("3.12", "12.8"))
requests = st.builds(
    Request,
    st.builds(
        Profile,
        texts,
        st.none() | st.just("sglang"),
        st.none() | st.sampled_from(("/r", "{flox_env}")),
        st.none() | st.sampled_from(("store", "linked")),
        st.lists(st.sampled_from(PATH_PARTS), unique=True).map(tuple),
        st.booleans(),
        asked_version,
        st.booleans(),
        st.booleans(),
        asked_version,
        st.booleans(),
        st.dictionaries(st.just("MINE_CACHE_DIR"), st.sampled_from(("mine", "a/b"))),
        st.dictionaries(
            variables.map("MY_{}".format),
            st.one_of(texts.filter(lambda text: not find_names(text)), st.just("{cuda_lib}")),
            max_size=2,
        ),
        st.dictionaries(st.just("HELD"), st.just("{root}/x")),
        st.dictionaries(st.just("FRONT"), st.just("/a:/b")),
        st.dictionaries(st.just("BACK"), st.just("{cuda_home}/bin")),
        st.just(()) | st.just(("GONE",)),
    ),
    st.sampled_from(("store", "linked")),
    st.none() | texts.map("/{}".format),
    asked_version,
    asked_version,
)


plain_names = names.filter(lambda name: name not in (".", ".."))
plain_paths = st.lists(plain_names, min_size=1).map(lambda parts: "/" + "/".join(parts))
inner_paths = names.map(lambda name: f"{store_path(name)}/lib")
launchers = st.builds(
    Launcher,
    st.lists(st.builds(Step, texts, st.sampled_from(Kind)), max_size=2).map(tuple),
    st.none() | texts,
    asked_version,
    st.none() | texts,
    st.lists(st.builds(Place, plain_paths, st.booleans(), st.booleans()), max_size=2).map(tuple),
    tuples,
    st.lists(st.tuples(variables, texts), max_size=2).map(tuple),
    st.none() | texts,
    st.none() | texts,
)
module_directories = st.builds(
    ModuleDirectory,
    texts,
    st.lists(plain_paths, max_size=2).map(tuple),
    st.lists(names.map(store_path), max_size=2).map(tuple),
    st.integers(min_value=0, max_value=1000),
)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    members = draw(st.lists(names.map(store_path), min_size=1, max_size=3, unique=True))
    probe = Probe(
        tuple(draw(objects(path)) for path in members if draw(st.booleans())),
        draw(st.none() | launchers),
        draw(
            st.lists(st.builds(Fault, texts, st.booleans(), st.integers(1, 133)), max_size=2).map(
                tuple
            )
        ),
        draw(st.lists(module_directories, max_size=2).map(tuple)),
        draw(st.none() | st.builds(FloxModules, inner_paths, texts, tuples)),
        draw(st.none() | launchers),
        draw(st.booleans()),
    )
    closure = Closure(members[-1], tuple(members), draw(st.sampled_from(Origin)), "snapshot f")
    return Snapshot(
        draw(st.none() | texts),
        closure,
        probe,
        draw(contents(closure)),
        draw(st.none() | machines),
        draw(st.none() | requests),
    )


@st.composite
def contents(draw: st.DrawFn, closure: Closure) -> Contents:
    sizes = st.integers(min_value=0, max_value=2**63 - 1)
    registrations = (
        st.builds(
            Registration,
            st.just(path),
            sizes,
            st.lists(st.sampled_from(earlier), unique=True).map(tuple) if earlier else st.just(()),
        )
        for number, path in enumerate(closure.paths)
        for earlier in [closure.paths[:number]]
    )
    graph = st.builds(Graph, st.tuples(*registrations))
    listings = st.lists(st.builds(DirectoryListing, texts, tuples), max_size=2).map(tuple)
    return Contents(
        tuple(draw(st.lists(st.builds(SiteListing, texts, distributions, tuples), max_size=2))),
        draw(st.builds(ToolkitFiles, listings, listings, gpu_codes=st.just(("75", "90")))),
        draw(st.none() | graph),
    )


@given(snapshots())
def test_what_is_written_is_read_back(snapshot: Snapshot) -> None:
    """Any snapshot survives the file, whatever is in its strings."""
    assert parse_snapshot(dump_snapshot(snapshot), "f") == snapshot


def test_a_snapshot_that_names_a_member_twice_is_refused() -> None:
    """Its graph would be of other members than it says."""
    document = json.loads(RECORDED_SNAPSHOT.read_text())
    document["paths"].append(document["paths"][0])
    document["graph"].append(document["graph"][0])
    with pytest.raises(SnapshotInvalid, match="is registered twice"):
        parse_snapshot(json.dumps(document), "s.json")
