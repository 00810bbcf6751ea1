"""While Nix works, what Flox recorded is looked at: it saves time, and decides nothing."""

import shutil
from pathlib import Path

import pytest

from fixtures.closure import SglangClosure
from nixenv.process import Patience
from nixenv.request import Material, Selection, gather
from nixenv.road import probe
from nixenv.storepath import StorePath


def look(environ: dict[str, str]) -> Material:
    """Within a minute: somebody who waits for ever fails."""
    return gather(Selection(binary="sglang"), environ, Patience(limit=60))


def test_all_is_looked_at_before_nix_has_answered(
    sglang: SglangClosure,
    environ: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nix is one that answers when it is."""
    members = set(sglang.store.closure(sglang.root))
    done = tmp_path / "done"
    nix_store = tmp_path / "nix-store"
    real = shutil.which("nix-store", path=environ["PATH"])
    nix_store.write_text(
        f'#!/bin/sh\nuntil [ -e "{done}" ]; do sleep 0.01; done\nexec "{real}" "$@"\n'
    )
    nix_store.chmod(0o755)
    left = set(members)
    take = probe._note

    def note(path: StorePath, listed: probe._Listed) -> object:
        left.discard(path)
        if not left:
            done.touch()
        return take(path, listed)

    monkeypatch.setattr(probe, "_note", note)
    found = look({**environ, "PATH": f"{tmp_path}:{environ['PATH']}"})
    assert set(found.closure.paths) == members


@pytest.mark.parametrize("recorded", ["nothing", "root", "all", "more", "others", "junk"])
def test_what_flox_recorded_decides_nothing(
    recorded: str, sglang: SglangClosure, environ: dict[str, str], tmp_path: Path
) -> None:
    """However little of it is so."""
    environ["FLOX_ENV"] = str(tmp_path)
    without = look(environ)
    store_dir = sglang.store.store_dir
    members: list[str] = sorted(without.closure.paths)
    other = f"{store_dir}/{'0' * 32}-gone"
    lines: dict[str, list[str]] = {
        "nothing": [],
        "root": [sglang.root],
        "all": members,
        "more": [other, *members, f"{store_dir}/{'1' * 32}-gone"],
        "others": [other],
        "junk": [sglang.root, "x", *members],
    }
    (tmp_path / "requisites.txt").write_text("".join(f"{line}\n" for line in lines[recorded]))
    assert look(environ) == without
