"""Farms are built whole or not at all, once, and again when they are broken."""

import errno
import fcntl
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from fixtures.closure import SglangClosure
from nixenv import directories
from nixenv.errors import OutputFailed, Unreadable
from nixenv.findings import Finding, Severity
from nixenv.inspect.diagnosis.farms import check_farms
from nixenv.linked.build import build_farms
from nixenv.linked.farm import FarmPlan, File, ensure_farm
from nixenv.linked.farm_record import find_foreign_files, find_problems
from nixenv.linked.inspection import look_at_farms, read_conflicts
from nixenv.linked.tree import Conflict, Link
from nixenv.places import FARM_RECORD, CacheUntrusted
from nixenv.road.classify import Inventory
from nixenv.road.farms import Farms
from nixenv.road.probe import StoreObjectsMissing
from nixenv.storepath import StorePath
from tests.linked.scene import activate, export_argv, plan_farms, surroundings

Planned = tuple[Inventory, Farms]
Harm = Callable[[Path], object]


def make_plan(base: Path) -> FarmPlan:
    """A farm of one store object, which it makes."""
    member = base / "object"
    (member / "lib").mkdir(parents=True, exist_ok=True)
    return FarmPlan(
        members=(str(member),),
        links=(Link("lib/one", f"{member}/lib"),),
        files=(File("text", "some text"), File("bin/run", "#!/bin/sh\n", executable=True)),
        directories=("empty",),
    )


def left_over(farms: Path) -> list[str]:
    return [name for name in os.listdir(farms) if name.startswith(".nixenv-")]


def test_a_farm_that_is_whole_is_not_built_again(tmp_path: Path) -> None:
    """Not even planned."""
    farm = tmp_path / "farms/one"
    ensure_farm(str(farm), lambda: make_plan(tmp_path))
    before = farm.stat()
    ensure_farm(str(farm), pytest.fail)
    assert farm.stat() == before
    assert (farm / "empty").is_dir()
    assert (farm / "text").read_text() == "some text"
    assert os.access(farm / "bin/run", os.X_OK)


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda farm: (farm / "lib/one").unlink(), id="link-gone"),
        pytest.param(lambda farm: (farm / "text").unlink(), id="file-gone"),
        pytest.param(lambda farm: (farm / "text").write_text(""), id="file-cut-off"),
        pytest.param(lambda farm: (farm / FARM_RECORD).unlink(), id="record-gone"),
        pytest.param(
            lambda farm: (farm / FARM_RECORD).write_text('{"place":'), id="record-cut-off"
        ),
        pytest.param(
            lambda farm: (farm / FARM_RECORD).write_text("[]"), id="record-of-another-kind"
        ),
        pytest.param(lambda farm: shutil.rmtree(farm / "lib"), id="directory-gone"),
        pytest.param(shutil.rmtree, id="all-gone"),
        pytest.param(
            lambda farm: ((farm / "lib/one").unlink(), (farm / "lib/one").symlink_to("/usr")),
            id="link-changed",
        ),
        pytest.param(
            lambda farm: ((farm / "text").unlink(), (farm / "text").symlink_to("/usr")),
            id="file-is-a-link",
        ),
        pytest.param(
            lambda farm: (farm.rename(farm.parent / "x"), farm.symlink_to("nowhere")),
            id="a-link-in-its-place",
        ),
    ],
)
def test_a_broken_farm_is_built_again(tmp_path: Path, harm: Harm) -> None:
    """Whatever it lacks, and whatever is there instead."""
    farm = tmp_path / "farms/one"
    ensure_farm(str(farm), lambda: make_plan(tmp_path))
    harm(farm)
    assert find_problems(str(farm)) != ()
    ensure_farm(str(farm), lambda: make_plan(tmp_path))
    assert find_problems(str(farm)) == ()
    assert left_over(farm.parent) == []


@pytest.mark.parametrize(
    "part",
    [
        *({"links": [1]}, {"links": {"a": 1}}, {"links": {"\ud800": "x"}}, {"files": {"a": "1"}}),
        *({"members": 5}, {"members": [5]}, {"members": ["a\0b"]}, {"place": None}),
        *({"conflicts": [{}]}, {"conflicts": [{"path": "a", "winner": "b", "losers": [1]}]}),
        *({"conflicts": {}}, {"more": 1}),
    ],
    ids=str,
)
def test_a_record_of_other_things_is_none(part: dict[str, object], tmp_path: Path) -> None:
    """Though its digest is right, which whoever writes there can make."""
    farm = tmp_path / "farms/one"
    ensure_farm(str(farm), lambda: make_plan(tmp_path))
    file = farm / FARM_RECORD
    record = {**json.loads(file.read_text()), **part}
    del record["digest"]
    digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    file.write_text(json.dumps({**record, "digest": digest}))
    assert "missing or unreadable" in " ".join(find_problems(str(farm)))
    assert (find_foreign_files(str(farm)), read_conflicts(str(farm))) == ((), ())
    ensure_farm(str(farm), lambda: make_plan(tmp_path))
    assert find_problems(str(farm)) == ()


def test_a_record_that_is_nested_too_deeply_is_none(tmp_path: Path) -> None:
    """Too deeply to be read, or only to be written, as its digest is."""
    farm = tmp_path / "farms/one"
    ensure_farm(str(farm), lambda: make_plan(tmp_path))
    for depth in (100, *range(950, 1010), 100_000):
        (farm / FARM_RECORD).write_text('{"place": ' + "[" * depth + "]" * depth + "}")
        assert "missing or unreadable" in " ".join(find_problems(str(farm)))


def test_what_is_nested_too_deeply_is_told(tmp_path: Path) -> None:
    """Python makes no directory in a thousand others."""
    plan = make_plan(tmp_path)
    deep = evolve(plan, links=(Link("a/" * 1500 + "b", "x"),))
    with pytest.raises(OutputFailed, match="nested too deeply"):
        ensure_farm(str(tmp_path / "farms/one"), lambda: deep)
    assert left_over(tmp_path / "farms") == []


def test_a_farm_whose_targets_are_gone_is_built_again(tmp_path: Path) -> None:
    """From what the closure is now."""
    farm = tmp_path / "farms/one"
    ensure_farm(str(farm), lambda: make_plan(tmp_path))
    shutil.rmtree(tmp_path / "object")
    assert len(find_problems(str(farm))) == 2
    ensure_farm(str(farm), lambda: make_plan(tmp_path))
    assert find_problems(str(farm)) == ()


def _build_and_log(farm: str, base: Path, start: float) -> None:
    def plan() -> FarmPlan:
        with open(base / "log", "a") as log:
            log.write("built\n")
        time.sleep(0.05)  # so that the others come while this one is at work
        return make_plan(base)

    time.sleep(max(0.0, start - time.time()))
    ensure_farm(farm, plan)
    assert find_problems(farm) == ()


def test_twenty_at_once_build_once(tmp_path: Path) -> None:
    """The others wait, and use what it built."""
    context = multiprocessing.get_context("forkserver")
    start = time.time() + 2
    farm = str(tmp_path / "farms/one")
    processes = [
        context.Process(target=_build_and_log, args=(farm, tmp_path, start)) for _ in range(20)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 20
    assert (tmp_path / "log").read_text() == "built\n"
    assert left_over(tmp_path / "farms") == []


def test_twenty_exports_at_once_succeed(sglang: SglangClosure, tmp_path: Path) -> None:
    """Through the command line, with one result."""
    environ = surroundings(sglang.store, tmp_path)
    argv = export_argv(sglang.root, tmp_path, "linked")
    processes = [
        subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(20)
    ]
    results = [process.communicate() for process in processes]
    assert len({stdout for stdout, _ in results}) == 1
    said = b"".join(stderr for _, stderr in results).splitlines()
    assert all(line.startswith(b"nixenv: still waiting for ") for line in said)
    assert judged(*plan_farms(sglang, sglang.root, tmp_path)) == []
    assert left_over(tmp_path / "nixenv/linked") == []


_BUILD_FOREVER = """\
import shutil, sys
from pathlib import Path
from tests.linked.test_farm import make_plan
from nixenv.linked.farm import FarmPlan, ensure_farm
from nixenv.linked.tree import Link
base = Path(sys.argv[1])
plan = make_plan(base)
links = tuple(Link(f"lib/{n}/link", plan.links[0].target) for n in range(300))
print("ready", flush=True)
while True:
    ensure_farm(str(base / "farms/one"), lambda: FarmPlan(plan.members, links, plan.files))
    shutil.rmtree(base / "farms/one")
"""


def test_a_killed_build_leaves_nothing_that_is_used(tmp_path: Path) -> None:
    """Killed at random moments, there is a whole farm, a removed one, or none; and no lock."""
    chance = random.Random(5)
    project = Path(__file__).parents[2]
    seen_left_over = 0
    for _ in range(25):
        process = subprocess.Popen(
            [sys.executable, "-c", _BUILD_FOREVER, str(tmp_path)],
            env={"PYTHONPATH": str(project)},
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(chance.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        seen_left_over = len(left_over(tmp_path / "farms")) if (tmp_path / "farms").exists() else 0
        farm = str(tmp_path / "farms/one")
        if not find_problems(farm):
            assert len(os.listdir(f"{farm}/lib")) == 300
        ensure_farm(farm, lambda: make_plan(tmp_path))
        assert find_problems(farm) == ()
        shutil.rmtree(farm)
    assert seen_left_over > 0, "no build was killed half-way"


def test_a_reader_never_sees_half_a_farm(tmp_path: Path) -> None:
    """As soon as it is there, all of it is."""
    context = multiprocessing.get_context("forkserver")
    for attempt in range(5):
        farm = str(tmp_path / f"farms/{attempt}")
        process = context.Process(target=_build_and_log, args=(farm, tmp_path, 0))
        process.start()
        while not os.path.exists(farm):
            # It may be built, and the process gone, since the line above.
            assert process.is_alive() or os.path.exists(farm)
        assert find_problems(farm) == ()
        process.join()


def test_what_is_of_no_use_is_swept(tmp_path: Path) -> None:
    """Farms whose store objects are gone, and what killed builds left an hour ago; nothing else."""
    farms = tmp_path / "farms"
    ensure_farm(str(farms / "useless"), lambda: make_plan(tmp_path / "collected"))
    ensure_farm(str(farms / "useful"), lambda: make_plan(tmp_path / "kept"))
    shutil.rmtree(tmp_path / "collected")
    (farms / ".nixenv-old/lib").mkdir(parents=True)
    (farms / ".nixenv-new/lib").mkdir(parents=True)
    (farms / "somebody's").mkdir()
    os.utime(farms / ".nixenv-old", (0, 0))
    ensure_farm(str(farms / "another"), lambda: make_plan(tmp_path / "kept"))
    assert sorted(os.listdir(farms)) == [
        ".lock",
        ".nixenv-new",
        "another",
        "somebody's",
        "useful",
    ]


def test_without_locks_the_first_to_rename_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on some network file systems; what the other built is thrown away."""

    def no_locks(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    farm = tmp_path / "farms/one"
    inodes = []

    def plan() -> FarmPlan:
        ensure_farm(str(farm), lambda: make_plan(tmp_path))  # another one, which is faster
        inodes.append(farm.stat().st_ino)
        return make_plan(tmp_path)

    def keep(_directory: str) -> None:
        raise AssertionError("a whole farm was removed")

    monkeypatch.setattr(directories, "remove_directory", keep)
    ensure_farm(str(farm), plan)
    assert [farm.stat().st_ino] == inodes
    assert left_over(farm.parent) == []


def test_where_directories_cannot_be_renamed_a_broken_farm_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on an overlay, for what lies in a lower layer: EXDEV."""
    farm = tmp_path / "farms/one"
    ensure_farm(str(farm), lambda: make_plan(tmp_path))
    (farm / "text").unlink()
    rename = os.rename

    def overlay(source: str, target: str) -> None:
        if source == str(farm):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr(os, "rename", overlay)
    ensure_farm(str(farm), lambda: make_plan(tmp_path))
    assert find_problems(str(farm)) == ()


def test_a_cache_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """The reason is given; a farm that is there already is used."""
    (tmp_path / "cache").write_text("")
    with pytest.raises(CacheUntrusted, match="cache is no directory"):
        ensure_farm(str(tmp_path / "cache/one"), lambda: make_plan(tmp_path))
    with pytest.raises(OutputFailed, match="cache/farms/one could not be written"):
        ensure_farm(str(tmp_path / "cache/farms/one"), lambda: make_plan(tmp_path))


def test_a_store_object_that_cannot_be_read(tmp_path: Path) -> None:
    """Is named, and nothing is left behind."""

    def plan() -> FarmPlan:
        os.listdir(tmp_path / "object-that-is-gone")
        raise AssertionError

    with pytest.raises(Unreadable, match="object-that-is-gone cannot be read"):
        ensure_farm(str(tmp_path / "farms/one"), plan)
    assert left_over(tmp_path / "farms") == []


def judged(inventory: Inventory, farms: Farms) -> list[Finding]:
    """What inspect says of them."""
    return list(check_farms(look_at_farms(inventory, farms)))


def test_the_store_is_only_read(sglang: SglangClosure, planned: Planned) -> None:
    """No directory of it changes."""

    def times() -> dict[str, int]:
        return {
            directory: os.stat(directory).st_mtime_ns
            for directory, _, _ in os.walk(sglang.store.store_dir)
        }

    before = times()
    build_farms(*planned)
    assert times() == before


def test_a_cache_directory_that_moves(sglang: SglangClosure, tmp_path: Path) -> None:
    """Farms name their own place in scripts: at another place they are built again."""
    first = activate(sglang.store, sglang.root, tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new place")
    inventory, farms = plan_farms(sglang, sglang.root, tmp_path / "new place")
    (moved,) = {f.code for f in judged(inventory, farms)}
    assert moved == "farm-broken"
    second = activate(sglang.store, sglang.root, tmp_path / "new place")
    assert judged(inventory, farms) == []
    assert second.virtualenv.name == first.virtualenv.name
    assert second.run("sglang", "version").strip().endswith("0.5.9")


def test_what_others_put_there_is_found(tmp_path: Path) -> None:
    """Python's own caches are none of that."""
    farm = tmp_path / "farms/one"
    ensure_farm(str(farm), lambda: make_plan(tmp_path))
    (farm / "lib/__pycache__").mkdir()
    (farm / "lib/__pycache__/x.pyc").touch()
    (farm / "lib/six").mkdir()
    (farm / "lib/six/six.py").touch()
    (farm / "lib/link").symlink_to("/usr")
    assert sorted(find_foreign_files(str(farm))) == [f"{farm}/lib/link", f"{farm}/lib/six/six.py"]
    assert find_problems(str(farm)) == ()


def test_inspect_says_how_the_farms_are(planned: Planned, tmp_path: Path) -> None:
    """Not there yet; whole; disputed; with foreign files in it; broken."""
    inventory, farms = planned
    assert {f.code for f in judged(inventory, farms)} == {"farm-missing"}
    build_farms(inventory, farms)
    assert judged(inventory, farms) == []
    assert farms.virtualenv is not None
    (Path(farms.virtualenv) / "bin/sglang").unlink()
    (Path(farms.virtualenv) / "bin/mine").touch()
    findings = judged(inventory, farms)
    assert [f.code for f in findings] == ["farm-broken", "farm-foreign-files"]
    assert findings[0].evidence == (f"{farms.virtualenv}/bin/sglang is missing",)

    disputed = make_plan(tmp_path)
    farm = str(tmp_path / "farms/disputed")
    conflicts = (Conflict("lib/x", "/a/x", ("/b/x",)),)
    ensure_farm(farm, lambda: FarmPlan(disputed.members, disputed.links, (), conflicts=conflicts))
    (finding,) = judged(inventory, Farms(farm, None))
    assert finding.code == "farm-conflicts"
    assert finding.evidence == ("lib/x: /a/x before /b/x",)


def test_inspect_says_beforehand_what_would_be_built(planned: Planned) -> None:
    """How many links; and nothing is there afterwards."""
    inventory, farms = planned
    states = look_at_farms(inventory, farms)
    assert all(state.links > 0 for state in states)
    assert not any(os.path.lexists(farm) for farm in farms.directories)
    build_farms(inventory, farms)
    for state in states:
        record = json.loads((Path(state.directory) / "nixenv-farm.json").read_text())
        assert len(record["links"]) == state.links
        assert len(record["conflicts"]) == len(state.conflicts)


def test_inspect_says_beforehand_why_nothing_can_be_built(planned: Planned) -> None:
    """As export will, in the same words."""
    inventory, farms = planned
    assert inventory.cuda is not None
    gone = StorePath(f"{inventory.cuda.nvcc}-gone")
    toolkit = inventory.cuda._replace(
        members=(*inventory.cuda.members, gone), homes=(*inventory.cuda.homes, gone)
    )
    changed = inventory._replace(cuda=toolkit)
    (finding,) = [f for f in judged(changed, farms) if f.severity is Severity.ERROR]
    assert (finding.code, finding.evidence) == ("farm-missing", (gone,))
    with pytest.raises(StoreObjectsMissing) as caught:
        build_farms(changed, farms)
    assert caught.value.summary in finding.summary
