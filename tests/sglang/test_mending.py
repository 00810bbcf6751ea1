"""What is changed of a model that transformers 5 saved, and what is left alone."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.sglang.mending import (
    is_rebuilt,
    mend_added_tokens,
    mend_config,
    mend_prefix_space,
    mend_tokenizer_config,
)
from tests.sglang.programs import (
    TOKENIZER,
    Environment,
    bundle_model,
    make_model,
    program,
    read_values,
    run,
    without_root_rights,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)
OBJECT = st.dictionaries(st.text(max_size=8), JSON, max_size=5)

# config.json ------------------------------------------------------------------------------------


@given(OBJECT)
def test_any_other_configuration_is_left_as_it_is(config: dict[str, Any]) -> None:
    """Whatever it holds, it is the same afterwards, and so is a second mending."""
    assert mend_config(config) == config
    assert mend_tokenizer_config(config) == config


THETA = {"rope_theta": 1e6}
ROPES = {
    "default": ({"rope_type": "default", **THETA}, {**THETA, "rope_scaling": None}),
    "linear": (
        {"rope_type": "linear", "type": "linear", "factor": 2.0, **THETA},
        {**THETA, "rope_scaling": {"type": "linear", "factor": 2.0}},
    ),
    "by its new name alone": (
        {"rope_type": "llama3", "factor": 8.0, **THETA},
        {**THETA, "rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
    ),
    "sections": (
        {"rope_type": "default", "type": "mrope", "mrope_section": [16, 24, 24], **THETA},
        {**THETA, "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}},
    ),
    "a part of the head": (
        {"rope_type": "default", "partial_rotary_factor": 0.75, **THETA},
        {**THETA, "partial_rotary_factor": 0.75, "rope_scaling": None},
    ),
}


@pytest.mark.parametrize(("rope", "keys"), ROPES.values(), ids=ROPES)
def test_rope_parameters_become_the_keys_of_before(
    rope: dict[str, Any], keys: dict[str, Any]
) -> None:
    """Beside what is there: some models of SGLang read ``rope_parameters`` itself."""
    config = {"model_type": "qwen3", "rope_parameters": rope, "vocab_size": 8}
    assert mend_config(config) == {**config, **keys}


def test_a_configuration_that_4_can_read_is_left_alone() -> None:
    """One key of before is enough to show that somebody wrote it for both."""
    for known in ({"rope_theta": 5.0}, {"rope_scaling": None}):
        config = {"rope_parameters": {"rope_type": "linear", "factor": 2.0, **THETA}, **known}
        assert mend_config(config) == config


def test_longrope_has_the_three_keys_that_phi_3_takes() -> None:
    """Transformers 4.57 refuses any other; the others stand at the top as well."""
    rope = {
        "rope_type": "longrope",
        "type": "longrope",
        "short_factor": [1.0],
        "long_factor": [2.0],
        "original_max_position_embeddings": 4096,
        "partial_rotary_factor": 0.75,
        "rope_theta": 10000.0,
    }
    mended = mend_config({"model_type": "phi3", "rope_parameters": rope})
    assert mended["rope_scaling"] == {
        "type": "longrope",
        "short_factor": [1.0],
        "long_factor": [2.0],
    }
    assert (mended["rope_theta"], mended["partial_rotary_factor"]) == (10000.0, 0.75)


def test_gemma_3_has_a_base_for_each_kind_of_layer() -> None:
    """In a configuration inside another, too."""
    rope = {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    }
    text = {"model_type": "gemma3_text", "rope_parameters": rope}
    mended = mend_config({"model_type": "gemma3", "text_config": text})["text_config"]
    assert mended["rope_theta"] == 1e6
    assert mended["rope_local_base_freq"] == 1e4
    assert mended["rope_scaling"] == {"rope_type": "linear", "factor": 8.0}


def test_gpt_neox_and_modernbert_have_their_own_names() -> None:
    """Those of 4.57."""
    neox = {"rope_type": "default", "rope_theta": 7, "partial_rotary_factor": 0.5}
    mended = mend_config({"model_type": "gpt_neox", "rope_parameters": neox})
    assert (mended["rotary_emb_base"], mended["rotary_pct"]) == (7, 0.5)
    layers = {"full_attention": {"rope_theta": 1.0}, "sliding_attention": {"rope_theta": 2.0}}
    mended = mend_config({"model_type": "modernbert", "rope_parameters": layers})
    assert (mended["global_rope_theta"], mended["local_rope_theta"]) == (1.0, 2.0)


def test_names_that_were_replaced_come_back() -> None:
    """Experts, layers, and T5's tied embeddings; in other model types they mean something else."""
    assert mend_config({"model_type": "qwen3_moe", "num_local_experts": 64})["num_experts"] == 64
    assert "num_experts" not in mend_config({"model_type": "mixtral", "num_local_experts": 8})
    layers = ["linear_attention", "full_attention"]
    hybrid = mend_config({"model_type": "granitemoehybrid", "layer_types": layers})
    assert hybrid["layer_types"] == ["mamba", "attention"]
    assert mend_config({"model_type": "qwen3_next", "layer_types": layers})["layer_types"] == layers
    t5 = {"model_type": "t5", "scale_decoder_outputs": False, "tie_word_embeddings": True}
    assert mend_config(t5)["tie_word_embeddings"] is False


def test_numbers_without_a_word_in_json_are_numbers_again() -> None:
    """5 writes {"__float__": "Infinity"}; 4 wrote Infinity, and reads it."""
    text = '{"time_step_limit": [0.0, {"__float__": "Infinity"}]}'
    assert mend_config(json.loads(text)) == {"time_step_limit": [0.0, math.inf]}


# tokenizer_config.json ----------------------------------------------------------------------------


def test_the_class_of_5_gets_its_name_of_4() -> None:
    """And what it takes by default in 5, unless the file says otherwise."""
    config = {"tokenizer_class": "TokenizersBackend", "x": "TokenizersBackend"}
    assert mend_tokenizer_config(config) == {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "attention_mask"],
        "x": "TokenizersBackend",
    }
    named = {**config, "model_input_names": ["input_ids"]}
    assert mend_tokenizer_config(named)["model_input_names"] == ["input_ids"]


def test_the_rest_of_the_file_is_kept() -> None:
    """Order, huge numbers, lone surrogates, nested objects, and the string in other places."""
    config = {
        "chat_template": 'TokenizersBackend "\ud800 é',
        "model_max_length": 1000000000000000019884624838656,
        "tokenizer_class": "TokenizersBackend",
        "added": {"tokenizer_class": "TokenizersBackend"},
        "model_input_names": [],
    }
    mended = mend_tokenizer_config(config)
    assert mended == {**config, "tokenizer_class": "PreTrainedTokenizerFast"}
    assert list(mended) == list(config)


@pytest.mark.parametrize(
    "config",
    [
        {"tokenizer_class": "PreTrainedTokenizerFast"},
        {"tokenizer_class": "TokenizersBackend2"},
        {"tokenizer_class": "tokenizersbackend"},
        {"tokenizer_class": None},
        {"tokenizer_class": ["TokenizersBackend"]},
        {"name": "TokenizersBackend"},
        {"nested": {"tokenizer_class": "TokenizersBackend"}},
        {"chat_template": '"tokenizer_class": "TokenizersBackend"'},
        {"extra_special_tokens": {"image_token": "<image>"}},
        {"extra_special_tokens": None, "model_specific_special_tokens": {}},
        {"additional_special_tokens": ["<a>"]},
        {},
    ],
)
def test_what_4_reads_right_is_left_alone(config: dict[str, Any]) -> None:
    """The string elsewhere is somebody's text."""
    assert mend_tokenizer_config(config) == config


def test_a_list_of_extra_tokens_goes_where_4_has_it() -> None:
    """Whatever the class; tokens that stand there already are not doubled."""
    config = {"tokenizer_class": "Qwen2Tokenizer", "extra_special_tokens": ["<a>", "<b>"]}
    mended = mend_tokenizer_config(config)
    assert "extra_special_tokens" not in mended
    assert mended["additional_special_tokens"] == ["<a>", "<b>"]
    both = mend_tokenizer_config({**config, "additional_special_tokens": ["<b>", "<c>"]})
    assert both["additional_special_tokens"] == ["<b>", "<c>", "<a>"]


def test_named_tokens_go_where_4_has_them() -> None:
    """A mapping is extra_special_tokens there, and becomes attributes of the tokenizer."""
    config = {"model_specific_special_tokens": {"image_token": "<image>"}}
    mended = mend_tokenizer_config(config)
    assert mended["extra_special_tokens"] == {"image_token": "<image>"}


def template(*pieces: str) -> dict[str, Any]:
    """A post-processor that puts tokens around the text, which is A."""
    single = [
        {"Sequence": {"id": "A"}} if piece == "A" else {"SpecialToken": {"id": piece}}
        for piece in pieces
    ]
    return {"type": "TemplateProcessing", "single": single}


LLAMA = {
    "backend": "tokenizers",
    "tokenizer_class": "LlamaTokenizer",
    "bos_token": "<s>",
    "eos_token": {"content": "</s>"},
}


@pytest.mark.parametrize(
    ("processor", "flags"),
    [
        (template("<s>", "A"), None),
        (template("A"), (False, False)),
        (template("<s>", "A", "</s>"), (True, True)),
        (template("A", "</s>"), (False, True)),
        (None, (False, False)),
        ({"type": "ByteLevel"}, (False, False)),
        ({"type": "Sequence", "processors": [{"type": "ByteLevel"}, template("<s>", "A")]}, None),
    ],
)
def test_the_tokens_at_the_ends_are_those_of_tokenizer_json(
    processor: dict[str, Any] | None, flags: tuple[bool, bool] | None
) -> None:
    """Said only where 4.57 would do otherwise by itself."""
    assert is_rebuilt(LLAMA)
    mended = mend_added_tokens(LLAMA, {"post_processor": processor})
    if flags is None:
        assert mended == LLAMA
    else:
        assert (mended["add_bos_token"], mended["add_eos_token"]) == flags


@pytest.mark.parametrize(
    "change",
    [
        {"add_bos_token": True},
        {"add_eos_token": False},
        {"tokenizer_class": "Qwen2Tokenizer"},
        {"tokenizer_class": "PreTrainedTokenizerFast"},
        {"backend": None},
    ],
)
def test_only_what_5_left_away_is_added(change: dict[str, Any]) -> None:
    """4 wrote the flags, and the other classes leave tokenizer.json as it is."""
    config = {name: value for name, value in {**LLAMA, **change}.items() if value is not None}
    assert not is_rebuilt(config)


def test_a_prefix_space_is_left_to_tokenizer_json() -> None:
    """4.57 would want the slow vocabulary for it, which 5 does not save."""
    config = {**LLAMA, "add_prefix_space": False}
    assert mend_prefix_space(config, ["tokenizer.json"]) == LLAMA
    for files in (["tokenizer.json", "tokenizer.model"], []):
        assert mend_prefix_space(config, files) == config
    unset = {**LLAMA, "add_prefix_space": None}
    assert mend_prefix_space(unset, ["tokenizer.json"]) == unset


# The program --------------------------------------------------------------------------------------


def test_both_files_are_mended_and_the_rest_is_linked(activated: Environment) -> None:
    """One shadow; what was right is the model's own file."""
    rope = {"rope_type": "default", "rope_theta": 1e6}
    snapshot = bundle_model(
        activated,
        config__json={"model_type": "qwen3", "rope_parameters": rope},
        tokenizer_config__json={"tokenizer_class": "Qwen2Tokenizer", "extra_special_tokens": ["x"]},
        generation_config__json={"temperature": 0.5},
    )
    shadow = activated.resolve_shadow()
    assert json.loads((shadow / "config.json").read_text())["rope_theta"] == 1e6
    tokenizer = json.loads((shadow / "tokenizer_config.json").read_text())
    assert tokenizer["additional_special_tokens"] == ["x"]
    assert (shadow / "generation_config.json").readlink() == snapshot / "generation_config.json"


def test_a_file_that_was_right_is_not_written_anew(activated: Environment) -> None:
    """Byte for byte: it is a link."""
    bundle_model(
        activated,
        config__json='{"model_type":  "phi3"}',
        tokenizer_config__json={"tokenizer_class": "TokenizersBackend"},
    )
    assert (activated.resolve_shadow() / "config.json").is_symlink()


def test_a_model_without_tokenizer_config_is_fine(activated: Environment) -> None:
    """Not every model has one."""
    snapshot = bundle_model(activated)
    assert read_values(activated.resolve())["SGLANG_MODEL"] == str(snapshot)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize(
    "text", ["", "{", "TokenizersBackend", '{"tokenizer_class": "TokenizersBackend"', "[" * 100_000]
)
def test_what_is_no_json_is_left_alone_with_a_warning(
    text: str, name: str, activated: Environment
) -> None:
    """The model may still load; who knows better is the server."""
    snapshot = bundle_model(activated, **{name.replace(".", "__"): text})
    outcome = activated.resolve()
    assert outcome.status == 0
    assert f"warning: {snapshot}/{name} cannot be read as a JSON object" in outcome.stderr
    assert "next: the model is served as it is" in outcome.stderr
    assert read_values(outcome)["SGLANG_MODEL"] == str(snapshot)


def test_bytes_that_are_no_text_are_no_json(activated: Environment) -> None:
    """A warning, and no traceback."""
    model = make_model(activated.home / "model")
    (model / "tokenizer_config.json").write_bytes(b'{"tokenizer_class": "\xff"}')
    outcome = activated.resolve(SGLANG_MODEL=str(model))
    assert outcome.status == 0
    assert "cannot be read as a JSON object" in outcome.stderr


@pytest.mark.parametrize("document", [[1], "TokenizersBackend", 3, None])
def test_json_that_is_no_object_is_none_of_ours(document: object, activated: Environment) -> None:
    """Nothing is mended, and nothing fails; it is told."""
    snapshot = bundle_model(activated, tokenizer_config__json=json.dumps(document))
    outcome = activated.resolve()
    assert read_values(outcome)["SGLANG_MODEL"] == str(snapshot)
    assert "tokenizer_config.json cannot be read as a JSON object" in outcome.stderr


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("depth", [300, 900, 3000])
def test_what_is_nested_deeply_is_mended_or_left_alone(
    depth: int, file: str, activated: Environment
) -> None:
    """Whichever of our steps comes to the end of the stack first: that depends on the Python."""
    mend = '"tokenizer_class": "TokenizersBackend", "rope_parameters": {"rope_theta": 1.0}'
    deep = f'{{{mend}, "a": {"[" * depth}{"]" * depth}}}'
    model = make_model(activated.home / "model", **{file.replace(".", "__"): deep})
    outcome = activated.resolve(SGLANG_MODEL=str(model))
    assert outcome.status == 0
    is_mended = read_values(outcome)["SGLANG_MODEL"] != str(model)
    assert is_mended or "cannot be read as a JSON object" in outcome.stderr


def test_a_file_without_end_is_not_read(activated: Environment) -> None:
    """A device, and what is far larger than any model's: the line at the prompt waits for it."""
    model = make_model(activated.home / "model")
    (model / "tokenizer_config.json").symlink_to("/dev/zero")
    with (model / "config.json").open("wb") as stream:
        stream.truncate(1 << 40)
    outcome = activated.resolve(SGLANG_MODEL=str(model))
    assert read_values(outcome)["SGLANG_MODEL"] == str(model)
    assert "tokenizer_config.json cannot be read as a JSON object: it is no regular file" in (
        outcome.stderr
    )
    assert "config.json cannot be read as a JSON object: it has more than 16777216 bytes" in (
        outcome.stderr
    )


def test_a_tokenizer_that_cannot_be_read_is_told(activated: Environment) -> None:
    """Only where something of it had to be known."""
    tokenizer = {"tokenizer_class": "LlamaTokenizer", "backend": "tokenizers"}
    files = {"tokenizer_config__json": tokenizer, "tokenizer__json": "{"}
    model = make_model(activated.home / "model", **files)
    outcome = activated.resolve(SGLANG_MODEL=str(model))
    assert outcome.status == 0
    assert f"warning: {model}/tokenizer.json cannot be read as a JSON object" in outcome.stderr


def test_a_directory_that_may_not_be_listed_is_named(activated: Environment) -> None:
    """With what to look at; its files could be opened by their names."""
    model = make_model(activated.home / "model", tokenizer_config__json=TOKENIZER)
    model.chmod(0o300)
    outcome = run(
        without_root_rights(*program("resolve")), activated.environ({"SGLANG_MODEL": str(model)})
    )
    model.chmod(0o700)
    assert (outcome.status, outcome.stdout) == (1, b"")
    assert f"error: {model} cannot be read: Permission denied\n  next: " in outcome.stderr


WRONG = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("model_type", "rope_parameters", "rope_theta", "full_attention", "type"),
                    *("__float__", "processors", "single", "SpecialToken", "id", "Sequence"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
KINDS = st.sampled_from(["llama", "gpt_neox", "phi3", "gemma3_text", "granitemoehybrid", "t5"])
CLASSES = st.sampled_from(["LlamaTokenizer", "TokenizersBackend", "T5TokenizerFast"])


@given(
    config=st.fixed_dictionaries(
        {},
        optional={
            "model_type": KINDS | WRONG,
            **dict.fromkeys(("rope_parameters", "layer_types", "text_config", "a"), WRONG),
        },
    ),
    tokenizer=st.fixed_dictionaries(
        {"tokenizer_class": CLASSES | WRONG},
        optional=dict.fromkeys(
            (
                *("extra_special_tokens", "additional_special_tokens", "add_prefix_space"),
                *("model_specific_special_tokens", "bos_token", "eos_token", "backend"),
            ),
            WRONG,
        ),
    ),
    processor=WRONG
    | st.fixed_dictionaries({"type": st.just("TemplateProcessing"), "single": WRONG}),
)
def test_values_of_any_type_are_mended_or_left(
    config: dict[str, object], tokenizer: dict[str, object], processor: object
) -> None:
    """Somebody else wrote the files: nothing in them makes us fail."""
    assert isinstance(mend_config(config), dict)
    mended = mend_prefix_space(mend_tokenizer_config(tokenizer), ["tokenizer.json"])
    assert is_rebuilt(mended) in (True, False)
    document = {**mended, "tokenizer_class": "LlamaTokenizer"}
    assert "tokenizer_class" in mend_added_tokens(document, {"post_processor": processor})
