"""sglang-resolve-model: where the model is found, and what is refused."""

import os
import shutil
from pathlib import Path

import pytest

from nixenv.sglang.model import Origin, Resolution, find_model
from tests.sglang.programs import (
    COMMIT,
    DEFAULT_ID,
    OTHER_COMMIT,
    Environment,
    bundle_model,
    make_model,
    program,
    read_values,
    run,
)


def test_a_bundled_model_is_served_from_its_snapshot_and_offline(activated: Environment) -> None:
    """Without SGLANG_MODEL the default is looked up, and found through refs/main."""
    snapshot = bundle_model(activated)
    outcome = activated.resolve()
    assert outcome.status == 0
    assert read_values(outcome) == {
        "SGLANG_MODEL_REQUESTED": DEFAULT_ID,
        "SGLANG_MODEL": str(snapshot),
        "SGLANG_BUNDLED_FROM": DEFAULT_ID,
        "HF_HUB_OFFLINE": "1",
    }
    assert f"{DEFAULT_ID} (bundled) in '{snapshot}'" in outcome.stderr


def test_a_model_that_is_not_bundled_is_left_to_download(activated: Environment) -> None:
    """The ID stays the ID, and nothing makes the Hugging Face client work offline."""
    bundle_model(activated)
    outcome = activated.resolve(SGLANG_MODEL="Qwen/Qwen3-8B")
    assert outcome.status == 0
    assert read_values(outcome) == {
        "SGLANG_MODEL_REQUESTED": "Qwen/Qwen3-8B",
        "SGLANG_MODEL": "Qwen/Qwen3-8B",
    }
    assert "Qwen/Qwen3-8B (will download from HF)" in outcome.stderr


def test_a_directory_is_served_as_it_is(activated: Environment) -> None:
    """Its name may hold anything a file name may; it is not called bundled."""
    model = make_model(activated.home / 'my "model"\n$(id) \udcff')
    outcome = activated.resolve(SGLANG_MODEL=str(model))
    assert outcome.status == 0
    served = activated.serve("--dry-run", SGLANG_MODEL=str(model))
    assert served.status == 0
    assert os.fsencode(str(model)) in served.stdout
    assert b"--served-model-name default" in served.stdout


def test_an_empty_model_counts_as_unset(activated: Environment) -> None:
    """As every empty variable does."""
    bundle_model(activated)
    outcome = activated.resolve(SGLANG_MODEL="", SGLANG_MODEL_ENV_FILE="")
    assert read_values(outcome)["SGLANG_MODEL_REQUESTED"] == DEFAULT_ID


def test_a_relative_directory_is_found_again_from_elsewhere(
    activated: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left to sglang-serve is absolute."""
    monkeypatch.chdir(activated.home)
    model = make_model(activated.home / "-m")
    assert find_model("-m", {}) == Resolution("-m", str(model), Origin.PATH)


def test_the_store_path_is_taken_and_not_the_link_to_the_environment(
    activated: Environment,
) -> None:
    """$FLOX_ENV moves on when the environment changes; a server goes on with what it had."""
    snapshot = bundle_model(activated)
    link = activated.home / "link"
    link.symlink_to(activated.flox_env)
    found = find_model(DEFAULT_ID, {"FLOX_ENV": str(link)})
    assert found == Resolution(DEFAULT_ID, str(snapshot), Origin.BUNDLED)


def test_a_flat_directory_is_a_bundle_too(activated: Environment) -> None:
    """$FLOX_ENV/share/models/NAME, for packages that know nothing of the hub's layout."""
    flat = make_model(activated.hub.parent / "Qwen3-8B")
    found = find_model("Qwen/Qwen3-8B", {"FLOX_ENV": str(activated.flox_env)})
    assert found == Resolution("Qwen/Qwen3-8B", str(flat), Origin.BUNDLED)


def test_the_hub_comes_before_the_flat_directory(activated: Environment) -> None:
    """It names the organisation, too."""
    snapshot = bundle_model(activated)
    make_model(activated.hub.parent / "Phi-4-mini-instruct-FP8-TORCHAO")
    found = find_model(DEFAULT_ID, {"FLOX_ENV": str(activated.flox_env)})
    assert found.model == str(snapshot)


@pytest.mark.parametrize("model_id", ["gpt2", "a/b", "Org_1/na.me-x_y", "0/_"])
def test_an_id_may_have_one_or_two_parts(model_id: str, activated: Environment) -> None:
    """As on Hugging Face; both kinds are found in the hub's layout."""
    snapshot = bundle_model(activated, model_id=model_id)
    found = find_model(model_id, {"FLOX_ENV": str(activated.flox_env)})
    assert found == Resolution(model_id, str(snapshot), Origin.BUNDLED)


def test_without_flox_nothing_is_bundled() -> None:
    """Outside an activation an ID is still an ID."""
    assert find_model("a/b", {}) == Resolution("a/b", "a/b", Origin.HUB)


HOSTILE = {
    "upwards": "../nowhere",
    "upwards inside": "org/../name",
    "dots in a name": "org/na..me",
    "absolute": "/nowhere/model",
    "absolute second part": "org//etc",
    "three parts": "org/name/more",
    "home": "~/model",
    "single quote": "org/na'me",
    "double quote": 'org/na"me',
    "newline": "org/name\n",
    "newline inside": "org/name\nSGLANG_MODEL=x",
    "control character": "org/na\x1bme",
    "blank": "org/na me",
    "dollar": "org/$(id)",
    "flag": "--trust-remote-code",
    "percent": "org/na%2e%2eme",
    "separator of the cache": "org--name",
    "empty part": "org/",
    "hidden": ".org/name",
    "other script": "org/náme",
    "other digits": "org/٣",
    "no UTF-8": "org/na\udcffme",
    "address": "https://huggingface.co/org/name",
    "other address": "ftp://host/model",
    "address with a blank": "s3://bucket/a b",
    "file": "/etc/passwd",
    "no file": "/nowhere/model.gguf",
    "revision of nothing": "@main",
    "empty revision": "org/name@",
    "upwards in a revision": "org/name@../../x",
    "too long": "org/" + "n" * 97,
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_id_is_refused_by_the_variables_name(value: str, activated: Environment) -> None:
    """Exit code 2; stdout stays empty, and nothing is written."""
    outcome = activated.resolve(SGLANG_MODEL=value)
    assert outcome.status == 2
    assert outcome.stdout == b""
    assert outcome.stderr.startswith("sglang-resolve-model: error: SGLANG_MODEL: ")
    assert "is neither a directory, nor a .gguf file, nor a URL that SGLang reads" in outcome.stderr
    assert "next: set it to " in outcome.stderr
    assert not any(activated.cache.iterdir())


def test_an_id_never_leaves_the_models_directory(activated: Environment) -> None:
    """Even where the path that it spells exists."""
    make_model(activated.flox_env / "share/secret")
    outcome = activated.resolve(SGLANG_MODEL="../secret")
    assert outcome.status == 2


def test_a_directory_without_config_is_passed_on_with_a_warning(activated: Environment) -> None:
    """SGLang takes some, such as Mistral's own with a params.json."""
    model = activated.home / "model"
    model.mkdir()
    outcome = activated.resolve(SGLANG_MODEL=str(model))
    assert read_values(outcome)["SGLANG_MODEL"] == str(model)
    assert f"warning: '{model}' has no config.json; it is passed on as it is" in outcome.stderr


def test_a_gguf_file_is_a_model(activated: Environment) -> None:
    """It is absolute in what is left to sglang-serve, and its name is in the line."""
    file = activated.home / "model-Q4_K_M.gguf"
    file.write_bytes(b"GGUF")
    outcome = activated.resolve(SGLANG_MODEL=str(file))
    assert read_values(outcome)["SGLANG_MODEL"] == str(file)
    assert f"{file} (local file)" in outcome.stderr
    assert (
        f"--model-path {file} ".encode()
        in activated.serve("--dry-run", SGLANG_MODEL=str(file)).stdout
    )


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/org/name",
        "redis://user:pass@host:6379/name",
        "instance://10.0.0.1:30000/name",
        "az://container/name",
        "https://account.blob.core.windows.net/container/name?sig=x%2By",
    ],
)
def test_a_url_that_sglang_reads_is_passed_on(url: str, activated: Environment) -> None:
    """As it is."""
    served = activated.serve("--dry-run", SGLANG_MODEL=url)
    assert served.status == 0
    assert find_model(url, {}) == Resolution(url, url, Origin.REMOTE)


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:s3cret@host:6379/name",
        "https://account.blob.core.windows.net/container/name?se=1&sig=s3cret&sp=r",
        "ftp://me:s3cret@host/name",
    ],
)
def test_what_is_secret_in_a_url_is_shown_nowhere(url: str, activated: Environment) -> None:
    """Nor in the name of a file; not even where it is nothing that SGLang reads."""
    model = {"SGLANG_MODEL": url}
    for outcome in (
        activated.serve(**model),
        activated.resolve(**model),
        run([*program("resolve"), "--banner"], activated.environ(model)),
        activated.serve("--dry-run", **model),
    ):
        assert "s3cret" not in outcome.stderr
        assert b"s3cret" not in outcome.stdout
    assert not [file for file in activated.cache.rglob("*") if "s3cret" in file.name]


# Revisions ----------------------------------------------------------------------------------------


def test_a_revision_of_a_bundled_model_is_looked_up(activated: Environment) -> None:
    """By branch, by tag or by commit; a flag in SGLANG_EXTRA_ARGS says the same."""
    bundle_model(activated)
    older = bundle_model(activated, commit=OTHER_COMMIT)
    refs = older.parents[1] / "refs"
    (refs / "v1").write_text(OTHER_COMMIT)
    (refs / "main").write_text(COMMIT)
    for revision in ("v1", OTHER_COMMIT):
        at = activated.resolve(SGLANG_MODEL=f"{DEFAULT_ID}@{revision}")
        assert read_values(at)["SGLANG_MODEL"] == str(older)
        assert read_values(at)["SGLANG_BUNDLED_FROM"] == DEFAULT_ID
        flag = activated.resolve(SGLANG_EXTRA_ARGS=f"--revision {revision}")
        assert read_values(flag) == read_values(at)
        served = activated.serve("--dry-run", SGLANG_MODEL=f"{DEFAULT_ID}@{revision}")
        assert f"--served-model-name {DEFAULT_ID} ".encode() in served.stdout


def test_a_revision_that_is_not_bundled_is_downloaded(activated: Environment) -> None:
    """Not the bundled one in its place; SGLang is told which."""
    bundle_model(activated)
    requested = {"SGLANG_MODEL": f"{DEFAULT_ID}@v2"}
    outcome = activated.resolve(**requested)
    assert read_values(outcome) == {
        "SGLANG_MODEL_REQUESTED": f"{DEFAULT_ID}@v2",
        "SGLANG_MODEL": DEFAULT_ID,
        "SGLANG_MODEL_REVISION": "v2",
    }
    assert f"{DEFAULT_ID}@v2 (will download from HF)" in outcome.stderr
    served = activated.serve("--dry-run", **requested)
    assert f"--model-path {DEFAULT_ID} --revision v2 ".encode() in served.stdout


def test_two_revisions_are_refused(activated: Environment) -> None:
    """Which is meant, nobody knows; the same one twice is one."""
    revised = {"SGLANG_MODEL": "a/b@v1"}
    outcome = activated.resolve(**revised, SGLANG_EXTRA_ARGS="--revision=v2")
    assert outcome.status == 2
    assert "asks for the revision 'v1', and --revision in SGLANG_EXTRA_ARGS for 'v2'" in (
        outcome.stderr
    )
    assert activated.resolve(**revised, SGLANG_EXTRA_ARGS="--rev v1").status == 0


# Directories that have the name of an ID ----------------------------------------------------------


def test_a_directory_is_not_taken_for_the_bundled_model(
    activated: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have come with somebody's repository. That it is there is said."""
    snapshot = bundle_model(activated)
    make_model(activated.home / DEFAULT_ID)
    monkeypatch.chdir(activated.home)
    outcome = activated.resolve()
    assert read_values(outcome)["SGLANG_MODEL"] == str(snapshot)
    assert "warning: the directory" in outcome.stderr
    assert f"next: SGLANG_MODEL=./{DEFAULT_ID} would mean the directory" in outcome.stderr
    plainly = activated.resolve(SGLANG_MODEL=f"./{DEFAULT_ID}")
    assert read_values(plainly)["SGLANG_MODEL"] == str(activated.home / DEFAULT_ID)
    assert "warning" not in plainly.stderr


def test_a_directory_with_the_name_of_another_id_is_taken_and_said(
    activated: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SGLang itself would take it, even if it were given the ID."""
    make_model(activated.home / "Qwen/Qwen3-8B")
    monkeypatch.chdir(activated.home)
    outcome = activated.resolve(SGLANG_MODEL="Qwen/Qwen3-8B")
    assert read_values(outcome)["SGLANG_MODEL"] == str(activated.home / "Qwen/Qwen3-8B")
    assert "warning: Qwen/Qwen3-8B is a directory below the current one" in outcome.stderr


# Bundles that cannot be used ----------------------------------------------------------------------


def refused(activated: Environment, message: str) -> str:
    outcome = activated.resolve()
    assert outcome.status == 1
    assert outcome.stdout == b""
    assert f"{DEFAULT_ID} is bundled in {activated.hub}" in outcome.stderr
    assert message in outcome.stderr
    return outcome.stderr


def test_a_snapshot_without_config_is_refused(activated: Environment) -> None:
    """Downloading what was meant to be bundled would be a surprise."""
    (bundle_model(activated) / "config.json").unlink()
    stderr = refused(activated, f"but its snapshot {COMMIT} has no config.json")
    assert "next: reinstall the model's package" in stderr


def test_a_dangling_config_counts_as_none(activated: Environment) -> None:
    """The hub's layout links to blobs, which can be lost."""
    config = bundle_model(activated) / "config.json"
    config.unlink()
    config.symlink_to("../../blobs/lost")
    refused(activated, f"but its snapshot {COMMIT} has no config.json")


def test_a_ref_may_end_with_a_newline(activated: Environment) -> None:
    """Editors and `echo` leave one."""
    snapshot = bundle_model(activated, ref=f"{COMMIT}\n")
    assert read_values(activated.resolve())["SGLANG_MODEL"] == str(snapshot)


def test_a_ref_to_an_absent_commit_is_refused(activated: Environment) -> None:
    """The message offers the snapshot that is there."""
    snapshot = bundle_model(activated, ref=OTHER_COMMIT)
    stderr = refused(activated, f"its refs/main names {OTHER_COMMIT}, and there is no such")
    assert f"next: choose a snapshot yourself: SGLANG_MODEL={snapshot}" in stderr


@pytest.mark.parametrize("ref", ["", "\n", "../../secret", "/etc", ".", "..", "a b", "a\nb"])
def test_a_ref_that_is_no_commit_is_refused(ref: str, activated: Environment) -> None:
    """It is never joined to a path."""
    make_model(activated.hub / "secret")
    bundle_model(activated, ref=ref)
    refused(activated, f"its refs/main holds {ref.strip()!r}, which is no commit")


def test_the_only_snapshot_needs_no_ref(activated: Environment) -> None:
    """There is nothing to choose; a snapshot without config.json is no choice."""
    snapshot = bundle_model(activated, ref=None)
    (activated.hub / f"models--{DEFAULT_ID.replace('/', '--')}/snapshots/partial").mkdir()
    assert read_values(activated.resolve())["SGLANG_MODEL"] == str(snapshot)


def test_several_snapshots_and_no_ref_are_refused(activated: Environment) -> None:
    """The message names them, and says how to choose."""
    bundle_model(activated, ref=None)
    other = bundle_model(activated, ref=None, commit=OTHER_COMMIT)
    stderr = refused(activated, "it has no refs/main to choose between its snapshots:")
    assert COMMIT in stderr
    assert f"next: choose a snapshot yourself: SGLANG_MODEL={other}" in stderr


def test_the_ref_chooses_between_snapshots(activated: Environment) -> None:
    """As the Hugging Face client would."""
    bundle_model(activated, commit=OTHER_COMMIT, ref=None)
    snapshot = bundle_model(activated)
    assert read_values(activated.resolve())["SGLANG_MODEL"] == str(snapshot)


def test_no_snapshot_at_all_is_refused(activated: Environment) -> None:
    """An empty repository is a broken package."""
    snapshot = bundle_model(activated, ref=None)
    shutil.rmtree(snapshot.parent)
    refused(activated, "but it has no snapshot with a config.json")


def test_a_flat_directory_without_config_is_refused(activated: Environment) -> None:
    """Like a snapshot without one."""
    flat = activated.hub.parent / "Qwen3-8B"
    flat.mkdir()
    outcome = activated.resolve(SGLANG_MODEL="Qwen/Qwen3-8B")
    assert outcome.status == 1
    assert f"Qwen/Qwen3-8B is bundled in {flat}, but it has no config.json" in outcome.stderr


def test_a_ref_that_cannot_be_read_is_an_error(activated: Environment) -> None:
    """Not a reason to take another snapshot."""
    snapshot = bundle_model(activated, ref=None)
    Path(snapshot.parents[1], "refs/main").mkdir(parents=True)
    outcome = activated.resolve()
    assert outcome.status == 1
    assert "refs/main cannot be read: Is a directory" in outcome.stderr
