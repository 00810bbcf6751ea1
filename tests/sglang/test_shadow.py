"""The shadow of a model that SGLang could not read: links to it, and the files that differ."""

import json
import multiprocessing
import os
import shutil
import subprocess
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from nixenv.places import CacheUntrusted
from nixenv.sglang.shadow import make_shadow, plan_shadow
from tests.sglang.programs import (
    TOKENIZER,
    Environment,
    bundle_model,
    make_model,
    program,
    read_values,
    without_root_rights,
)

CONFIG_NAME = "tokenizer_config.json"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model", tokenizer_config__json=TOKENIZER)


def shadow_of(model: Path, cache: Path) -> Path:
    """Make a shadow of which one file differs from the model's."""
    config = json.loads((model / CONFIG_NAME).read_text())
    changed = {CONFIG_NAME: json.dumps({**config, "tokenizer_class": "PreTrainedTokenizerFast"})}
    shadow = plan_shadow(str(model), model.name, changed, str(cache))
    make_shadow(shadow)
    return Path(shadow.directory)


def test_the_server_is_shown_a_class_it_knows(activated: Environment) -> None:
    """SGLANG_MODEL becomes the shadow; the model stays the bundled one, under its name."""
    snapshot = bundle_model(activated, tokenizer_config__json=TOKENIZER)
    values = read_values(activated.resolve())
    shadow = activated.shadow
    assert values["SGLANG_MODEL"] == str(shadow)
    assert values["HF_HUB_OFFLINE"] == "1"
    assert json.loads((shadow / CONFIG_NAME).read_text())["tokenizer_class"] == (
        "PreTrainedTokenizerFast"
    )
    assert json.loads((snapshot / CONFIG_NAME).read_text()) == TOKENIZER


def test_a_local_directory_gets_a_shadow_too(activated: Environment) -> None:
    """Its tokenizer would fail just the same."""
    model = make_model(activated.home / "model", tokenizer_config__json=TOKENIZER)
    outcome = activated.resolve(SGLANG_MODEL=str(model))
    assert read_values(outcome)["SGLANG_MODEL"] == str(activated.shadow)


def test_everything_else_is_linked(model: Path, tmp_path: Path) -> None:
    """Dot files and subdirectories as well; the weights are not copied."""
    (model / ".gitattributes").write_text("x")
    (model / "onnx").mkdir()
    (model / "onnx/model.onnx").write_text("weights")
    (model / "odd \n\udcff").write_text("x")
    shadow = shadow_of(model, tmp_path / "shadows")
    assert {path.name for path in shadow.iterdir()} == {path.name for path in model.iterdir()}
    assert (shadow / "onnx/model.onnx").read_text() == "weights"
    for path in shadow.iterdir():
        assert path.is_symlink() == (path.name != CONFIG_NAME)


def test_an_unchanged_model_keeps_its_shadow(model: Path, tmp_path: Path) -> None:
    """A second activation builds nothing."""
    directory = tmp_path / "shadows"
    first = shadow_of(model, directory)
    before = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in (directory, first)]
    assert shadow_of(model, directory) == first
    assert before == [(path.stat().st_ino, path.stat().st_mtime_ns) for path in (directory, first)]


@pytest.mark.parametrize("change", ["tokenizer", "added", "removed"])
def test_a_model_replaced_under_the_same_name_gets_another_shadow(
    change: str, model: Path, tmp_path: Path
) -> None:
    """The shadow shows the new model, whatever of it is new."""
    (model / "extra.json").write_text("old")
    old = shadow_of(model, tmp_path / "shadows")
    shutil.rmtree(model)
    config = {**TOKENIZER, "model_max_length": 1} if change == "tokenizer" else TOKENIZER
    make_model(model, tokenizer_config__json=config)
    if change != "removed":
        (model / "extra.json").write_text("new")
    if change == "added":
        (model / "more.json").write_text("new")
    new = shadow_of(model, tmp_path / "shadows")
    assert new != old
    assert {path.name for path in new.iterdir()} == {path.name for path in model.iterdir()}
    assert (
        json.loads((new / CONFIG_NAME).read_text())["model_max_length"]
        == (config["model_max_length"])
    )


def test_equal_models_in_two_places_have_two_shadows(model: Path, tmp_path: Path) -> None:
    """One shadow would lead to one of the two, and then to the other."""
    other = make_model(tmp_path / "other" / model.name, tokenizer_config__json=TOKENIZER)
    shadows = [shadow_of(place, tmp_path / "shadows") for place in (model, other)]
    assert [os.readlink(shadow / "config.json") for shadow in shadows] == [
        str(model / "config.json"),
        str(other / "config.json"),
    ]


def test_other_weights_under_the_same_names_need_no_other_shadow(
    model: Path, tmp_path: Path
) -> None:
    """Links lead to what is there now."""
    (model / "weights").write_text("old")
    shadow = shadow_of(model, tmp_path / "shadows")
    (model / "weights").write_text("new")
    assert shadow_of(model, tmp_path / "shadows") == shadow
    assert (shadow / "weights").read_text() == "new"


@pytest.mark.parametrize(
    "damage",
    ["no config", "other config", "a pipe", "link gone", "link moved", "link added", "file"],
)
def test_a_damaged_shadow_is_replaced(damage: str, model: Path, tmp_path: Path) -> None:
    """Something that cleans caches may have been there."""
    directory = tmp_path / "shadows"
    shadow = shadow_of(model, directory)
    config = shadow / "config.json"
    match damage:
        case "no config":
            (shadow / CONFIG_NAME).unlink()
        case "other config":
            (shadow / CONFIG_NAME).write_bytes(b"\xff")
        case "a pipe":
            (shadow / CONFIG_NAME).unlink()
            os.mkfifo(shadow / CONFIG_NAME)
        case "link gone":
            config.unlink()
        case "link moved":
            config.unlink()
            config.symlink_to("/nowhere")
        case "link added":
            (shadow / "extra.json").symlink_to(config)
        case "file":
            shutil.rmtree(shadow)
            shadow.write_text("")
    assert shadow_of(model, directory) == shadow
    assert config.is_file()
    assert {path.name for path in shadow.iterdir()} == {path.name for path in model.iterdir()}
    assert json.loads((shadow / CONFIG_NAME).read_text())["model_max_length"] == 131072
    assert os.listdir(directory) == [shadow.parent.name]
    assert os.listdir(shadow.parent) == [shadow.name]


def resolve_at_once(barrier: Barrier, model: Path, directory: Path) -> None:
    barrier.wait(timeout=30)
    for _ in range(20):
        shadow = shadow_of(model, directory)
        assert (shadow / "config.json").is_file()
        assert (shadow / CONFIG_NAME).is_file()


def test_resolvers_at_once_agree_on_one_whole_shadow(model: Path, tmp_path: Path) -> None:
    """Eight processes that start together: all succeed, and nothing is left over."""
    directory = tmp_path / "shadows"
    fork = multiprocessing.get_context("fork")
    for _ in range(10):
        barrier = fork.Barrier(8)
        processes = [
            fork.Process(target=resolve_at_once, args=(barrier, model, directory)) for _ in range(8)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0] * 8
        assert len(os.listdir(directory)) == 1
        shutil.rmtree(directory)


def test_two_programs_at_once_leave_one_result(activated: Environment) -> None:
    """The whole program, not only the shadow."""
    bundle_model(activated, tokenizer_config__json=TOKENIZER)
    environ = activated.environ({})
    running = [
        subprocess.Popen(program("resolve"), env=environ, stdout=subprocess.PIPE) for _ in range(4)
    ]
    answers = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0] * 4
    assert len(answers) == 1
    assert activated.shadow.is_dir()
    assert len(os.listdir(activated.cache / "sglang-models")) == 1
    assert activated.serve("--dry-run").status == 0


def test_a_resolver_killed_half_way_disturbs_nobody(model: Path, tmp_path: Path) -> None:
    """What it left is neither taken nor in the way."""
    directory = tmp_path / "shadows"
    shadow = shadow_of(model, directory)
    shadow.parent.rename(directory / ".nixenv-killed")
    (directory / ".nixenv-killed" / shadow.name / CONFIG_NAME).unlink()
    assert shadow_of(model, directory) == shadow
    assert (shadow / CONFIG_NAME).is_file()


def test_a_cache_that_cannot_be_written_is_an_error(activated: Environment) -> None:
    """It names the place and the next step; stdout stays empty."""
    bundle_model(activated, tokenizer_config__json=TOKENIZER)
    activated.cache.chmod(0o500)
    outcome = activated.resolve(*without_root_rights())
    assert outcome.status == 1
    assert outcome.stdout == b""
    assert f"cannot be written to {activated.cache}/sglang-compat: Permission denied" in (
        outcome.stderr
    )
    assert "next: check the free space and the permissions there, or set FLOX_ENV_CACHE" in (
        outcome.stderr
    )


def test_a_full_cache_is_an_error_and_leaves_nothing_behind(activated: Environment) -> None:
    """No byte may be written, as on a full disk."""
    bundle_model(activated, tokenizer_config__json=TOKENIZER)
    outcome = activated.resolve("prlimit", "--fsize=0")
    assert outcome.status == 1
    assert "sglang-compat: File too large" in outcome.stderr
    assert os.listdir(activated.cache / "sglang-compat") == []


def test_a_cache_that_somebody_else_can_write_is_refused(model: Path, tmp_path: Path) -> None:
    """FLOX_ENV_CACHE can be /tmp; a shadow holds code that the server may load."""
    directory = tmp_path / "shadows"
    shadow_of(model, directory)
    assert directory.stat().st_mode & 0o777 == 0o700
    directory.chmod(0o777)
    with pytest.raises(CacheUntrusted, match=r"can be written by others \(mode 0777\)"):
        shadow_of(model, directory)


@pytest.mark.parametrize("thing", ["link", "file"])
def test_what_is_no_directory_is_not_followed(thing: str, model: Path, tmp_path: Path) -> None:
    """Somebody may have put it there, pointing elsewhere."""
    directory = tmp_path / "shadows"
    if thing == "link":
        (tmp_path / "elsewhere").mkdir()
        directory.symlink_to(tmp_path / "elsewhere")
    else:
        directory.write_text("")
    with pytest.raises(CacheUntrusted, match=r"is a link|is no directory"):
        shadow_of(model, directory)
