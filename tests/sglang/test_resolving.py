"""What of a model is looked at before it is served: weights, classes, the user's own cache."""

import os
import shutil
from pathlib import Path

import pytest

from nixenv.road.record import ActivationRecord, format_record
from nixenv.road.variables import RECORD_VARIABLE
from nixenv.sglang.hub import find_user_hub
from nixenv.sglang.transformers import find_transformers
from tests.sglang.programs import (
    COMMIT,
    OTHER_COMMIT,
    TOKENIZER,
    Environment,
    bundle_model,
    cache_model,
    make_model,
    read_values,
)

QWEN = {"SGLANG_MODEL": "Qwen/Qwen3-8B"}
ROPE = {"model_type": "qwen3", "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}

# Weights ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["bundled", "directory"])
def test_a_link_to_weights_that_leads_nowhere_is_refused(
    place: str, activated: Environment
) -> None:
    """The model is incomplete; the server would say so after it has loaded half of it."""
    model = bundle_model(activated) if place == "bundled" else make_model(activated.home / "model")
    (model / "model-00001-of-00002.safetensors").write_text("weights")
    (model / "model-00002-of-00002.safetensors").symlink_to("../../blobs/lost")
    changes = {} if place == "bundled" else {"SGLANG_MODEL": str(model)}
    outcome = activated.resolve(**changes)
    assert outcome.status == 1
    assert outcome.stdout == b""
    assert outcome.stderr == (
        f"sglang-resolve-model: error: {model} is incomplete: weights that it names are not "
        "there:\n    model-00002-of-00002.safetensors\n"
        "  next: download or copy the model again; a link to weights must lead to a file that "
        "this machine can read\n"
    )


def test_weights_of_the_index_must_be_there(activated: Environment) -> None:
    """A copy that was cut short has its index already; five names are enough to see that."""
    names = [f"model-{number}.safetensors" for number in range(9)]
    index = {"weight_map": {f"layer {name}": name for name in names}}
    model = make_model(activated.home / "model", model__safetensors__index__json=index)
    for name in names[:2]:
        (model / name).write_text("weights")
    outcome = activated.resolve(SGLANG_MODEL=str(model))
    assert outcome.status == 1
    assert "model-6.safetensors\n    and 2 more\n" in outcome.stderr
    for name in names:
        (model / name).write_text("weights")
    assert activated.resolve(SGLANG_MODEL=str(model)).status == 0


@pytest.mark.parametrize("text", ["", "[]", '{"weight_map": []}', '{"weight_map": {"a": 1}}'])
def test_an_index_that_is_none_is_the_servers_business(text: str, activated: Environment) -> None:
    """Nothing of ours fails on it."""
    model = make_model(activated.home / "model", model__safetensors__index__json=text)
    outcome = activated.resolve(SGLANG_MODEL=str(model))
    assert "Traceback" not in outcome.stderr


def test_a_name_without_end_is_shown_cut(activated: Environment) -> None:
    """Somebody else wrote the index."""
    index = {"weight_map": {"a": "x" * 1_000_000}}
    model = make_model(activated.home / "model", model__safetensors__index__json=index)
    outcome = activated.resolve(SGLANG_MODEL=str(model))
    assert outcome.status == 1
    assert "xxx... (1000000 characters)\n" in outcome.stderr
    assert len(outcome.stderr) < 2000


# The user's own Hugging Face cache ----------------------------------------------------------------


def test_a_model_of_the_users_cache_is_left_to_sglang(activated: Environment) -> None:
    """It looks there itself, and for a newer revision: the path would freeze this one."""
    cache_model(activated, "Qwen/Qwen3-8B")
    outcome = activated.resolve(**QWEN)
    assert read_values(outcome)["SGLANG_MODEL"] == "Qwen/Qwen3-8B"
    assert "Qwen/Qwen3-8B (in your Hugging Face cache)" in outcome.stderr


def test_a_whole_one_that_must_be_mended_is_taken_from_there(activated: Environment) -> None:
    """SGLang is shown the shadow, under the model's name; it is not called bundled."""
    snapshot = cache_model(activated, "Qwen/Qwen3-8B", config__json=ROPE)
    outcome = activated.resolve(**QWEN)
    assert read_values(outcome) == {
        "SGLANG_MODEL_REQUESTED": "Qwen/Qwen3-8B",
        "SGLANG_MODEL": str(activated.shadow),
    }
    assert activated.shadow.name == "Qwen3-8B"
    assert (activated.shadow / "model.safetensors").resolve() == (
        snapshot / "model.safetensors"
    ).resolve()
    assert b"--served-model-name default" in activated.serve("--dry-run", **QWEN).stdout


def test_one_that_is_not_whole_is_passed_on_with_a_warning(activated: Environment) -> None:
    """What has to be done is said before the server starts."""
    snapshot = cache_model(activated, "Qwen/Qwen3-8B", weights=False, config__json=ROPE)
    outcome = activated.resolve(**QWEN)
    assert read_values(outcome)["SGLANG_MODEL"] == "Qwen/Qwen3-8B"
    assert f"transformers 5 saved Qwen/Qwen3-8B, and what {snapshot} has of it is not whole" in (
        outcome.stderr
    )
    assert "next: `hf download Qwen/Qwen3-8B`, then start again" in outcome.stderr


def test_a_restart_finds_what_was_downloaded(activated: Environment) -> None:
    """Before the download nothing can be mended, and that is said; after it, it is."""
    first = activated.resolve(**QWEN)
    assert "Qwen/Qwen3-8B (will download from HF)" in first.stderr
    assert "if transformers 5 saved it, the start after that mends it" in first.stderr
    cache_model(activated, "Qwen/Qwen3-8B", tokenizer_config__json=TOKENIZER)
    second = activated.resolve(**QWEN)
    assert read_values(second)["SGLANG_MODEL"] == str(activated.shadow)


def test_a_revision_of_the_users_cache_is_the_one_that_is_mended(activated: Environment) -> None:
    """By its ref or commit; another one is not taken in its place."""
    snapshot = cache_model(activated, "Qwen/Qwen3-8B", config__json=ROPE)
    (snapshot.parents[1] / "refs/v1").write_text(COMMIT)
    named = activated.resolve(SGLANG_MODEL="Qwen/Qwen3-8B@v1")
    assert read_values(named)["SGLANG_MODEL"] == str(activated.shadow)
    assert "SGLANG_MODEL_REVISION" not in read_values(named)
    other = activated.resolve(SGLANG_MODEL=f"Qwen/Qwen3-8B@{OTHER_COMMIT}")
    assert read_values(other)["SGLANG_MODEL_REVISION"] == OTHER_COMMIT


@pytest.mark.parametrize("damage", ["ref is a directory", "ref is a FIFO", "ref goes elsewhere"])
def test_a_damaged_cache_is_the_clients_business(damage: str, activated: Environment) -> None:
    """It is neither followed nor waited for."""
    ref = cache_model(activated, "Qwen/Qwen3-8B", config__json=ROPE).parents[1] / "refs/main"
    ref.unlink()
    match damage:
        case "ref is a directory":
            ref.mkdir()
        case "ref is a FIFO":
            os.mkfifo(ref)
        case "ref goes elsewhere":
            ref.write_text("../../../secret")
    outcome = activated.resolve(**QWEN)
    assert outcome.status == 0
    assert read_values(outcome)["SGLANG_MODEL"] == "Qwen/Qwen3-8B"


def test_the_cache_is_where_the_client_has_it() -> None:
    """huggingface_hub's own variables, in its own order."""
    assert find_user_hub({"HOME": "/h"}) == "/h/.cache/huggingface/hub"
    assert find_user_hub({"HOME": "/h", "XDG_CACHE_HOME": "/x"}) == "/x/huggingface/hub"
    assert find_user_hub({"HOME": "/h", "HF_HOME": "/f"}) == "/f/hub"
    both = {"HF_HOME": "/f", "HUGGINGFACE_HUB_CACHE": "/o", "HF_HUB_CACHE": "/c"}
    assert find_user_hub(both) == "/c"
    assert find_user_hub({}) is None


# Names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["bundled", "cached", "snapshot by its path", "directory"])
def test_the_shadow_has_the_models_own_name(base: str, activated: Environment) -> None:
    """Not that of a commit: SGLang looks for the name in the path."""
    name, requested = "org/llava-v1.5-7b", {"SGLANG_MODEL": "org/llava-v1.5-7b"}
    match base:
        case "bundled":
            bundle_model(activated, model_id=name, tokenizer_config__json=TOKENIZER)
        case "cached":
            cache_model(activated, name, tokenizer_config__json=TOKENIZER)
        case "snapshot by its path":
            snapshot = cache_model(activated, name, tokenizer_config__json=TOKENIZER)
            requested = {"SGLANG_MODEL": str(snapshot)}
        case "directory":
            model = make_model(activated.home / name, tokenizer_config__json=TOKENIZER)
            requested = {"SGLANG_MODEL": str(model)}
    assert activated.resolve_shadow(**requested).name == "llava-v1.5-7b"


@pytest.mark.parametrize("repository", ["models--a--..", "models--a--.", "models--a--", "models--"])
def test_a_repository_without_a_name_gives_none(repository: str, activated: Environment) -> None:
    """Least of all one that leads out of the shadow's entry."""
    snapshot = activated.home / repository / "snapshots" / COMMIT
    make_model(snapshot, tokenizer_config__json=TOKENIZER)
    assert activated.resolve_shadow(SGLANG_MODEL=str(snapshot)).name == COMMIT


# Classes that the server's transformers lacks -----------------------------------------------------


def install(activated: Environment, version: str = "4.57.6") -> Path:
    """Put a transformers beside SGLang that knows Llama, by its tables and by one module."""
    package = activated.site_packages / "transformers"
    for name, text in {
        "__init__.py": f'__version__ = "{version}"\n',
        "models/auto/tokenization_auto.py": '("llama", ("LlamaTokenizer", "LlamaTokenizerFast"))',
        "models/auto/configuration_auto.py": '("llama", "LlamaConfig"),',
        "models/rare/tokenization_rare.py": "class RareTokenizer(Base):\n    pass\n",
    }.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    configs = activated.site_packages / "sglang/srt/configs"
    configs.mkdir(parents=True, exist_ok=True)
    (configs / "own.py").write_text('class Own:\n    model_type: str = "sglangs_own"\n')
    return package


def test_a_tokenizer_that_is_not_known_is_refused_by_name(activated: Environment) -> None:
    """Before the server has imported anything, with the version that does not know it."""
    install(activated)
    tokenizer = {"tokenizer_class": "Qwen3_5Tokenizer"}
    snapshot = bundle_model(activated, tokenizer_config__json=tokenizer)
    outcome = activated.resolve()
    assert outcome.status == 1
    assert outcome.stdout == b""
    assert f"error: {snapshot} has a tokenizer of the class Qwen3_5Tokenizer, which " in (
        outcome.stderr
    )
    assert "transformers 4.57.6 of this SGLang does not know" in outcome.stderr


def test_names_of_any_kind_and_length_are_looked_up(activated: Environment) -> None:
    """As text, not as patterns; they are shown cut."""
    install(activated)
    for name in (".*", "(", "a\nb", "a" * 5_000_000):
        model = make_model(
            activated.home / str(hash(name)),
            config__json={"model_type": name},
            tokenizer_config__json={"tokenizer_class": name},
        )
        outcome = activated.resolve(SGLANG_MODEL=str(model))
        assert outcome.status == 1
        assert "has a tokenizer of the class " in outcome.stderr
        (model / "tokenizer_config.json").unlink()
        outcome = activated.resolve(SGLANG_MODEL=str(model))
        assert outcome.status == 0
        assert "is a model of the type " in outcome.stderr
        assert len(outcome.stderr) < 2000


@pytest.mark.parametrize(
    ("tokenizer", "changes"),
    [
        ({"tokenizer_class": "LlamaTokenizer"}, {}),
        ({"tokenizer_class": "LlamaTokenizerFast"}, {}),
        ({"tokenizer_class": "RareTokenizer"}, {}),
        ({"tokenizer_class": "PreTrainedTokenizerFast"}, {}),
        ({"tokenizer_class": "TokenizersBackend"}, {}),
        ({"tokenizer_class": None}, {}),
        ({"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": ["a.B", None]}}, {}),
        ({"tokenizer_class": "NewTokenizer"}, {"SGLANG_EXTRA_ARGS": "--tokenizer-path /other"}),
        ({"tokenizer_class": "NewTokenizer"}, {"SGLANG_EXTRA_ARGS": "--skip-tokenizer-init"}),
    ],
)
def test_any_other_is_let_through(
    tokenizer: dict[str, object], changes: dict[str, str], activated: Environment
) -> None:
    """Known ones, the model's own, and those that are not read."""
    install(activated)
    bundle_model(activated, tokenizer_config__json=tokenizer)
    assert activated.resolve(**changes).status == 0


@pytest.mark.parametrize(
    ("config", "is_told"),
    [
        ({"model_type": "llama"}, False),
        ({"model_type": "sglangs_own"}, False),
        ({"model_type": "of_its_own", "auto_map": {"AutoConfig": "x.Y"}}, False),
        ({"model_type": "from_the_future"}, True),
    ],
)
def test_a_model_type_that_is_not_known_is_told(
    config: dict[str, object], is_told: bool, activated: Environment
) -> None:
    """A warning: SGLang has its ways with some that transformers does not know."""
    install(activated)
    bundle_model(activated, config__json=config)
    outcome = activated.resolve()
    assert outcome.status == 0
    assert ("which neither transformers 4.57.6 nor the SGLang" in outcome.stderr) == is_told


def test_nothing_is_mended_for_a_transformers_that_reads_it(activated: Environment) -> None:
    """A newer SGLang has a transformers 5."""
    install(activated, "5.19.0")
    snapshot = bundle_model(activated, config__json=ROPE, tokenizer_config__json=TOKENIZER)
    assert read_values(activated.resolve())["SGLANG_MODEL"] == str(snapshot)
    assert "mends" not in activated.resolve(**QWEN).stderr


@pytest.mark.parametrize("variable", ["PYTHONPATH", RECORD_VARIABLE, "SGLANG_PYTHON"])
def test_the_transformers_is_the_servers(variable: str, tmp_path: Path) -> None:
    """In either layout of nixenv, and in an environment of the user's own."""
    package = tmp_path / "lib/python3.12/site-packages/transformers"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('# comment\n__version__ = "4.57.6"\n')
    python = f"{tmp_path}/bin/python3.12"
    value = {
        "PYTHONPATH": f"relative::/nowhere:{package.parent}",
        RECORD_VARIABLE: format_record(ActivationRecord("/r", "p", python, "", "", "", {}, {}, {})),
        "SGLANG_PYTHON": python,
    }[variable]
    found = find_transformers({variable: value})
    assert found is not None
    assert (found.directory, found.version, found.major) == (str(package), "4.57.6", 4)
    shutil.rmtree(package)
    assert find_transformers({variable: value}) is None
