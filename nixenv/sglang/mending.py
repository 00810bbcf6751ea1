"""What transformers 4.57 cannot read, or would misread, in a model that transformers 5 saved. Pure.

Found by a round trip: each model type of transformers 4.57.6, each of its values changed one at a
time, saved by 5.0.0 and by 5.24.0 and read again (``tests/sglang/test_round_trip.py`` goes that way
with the families that people serve). Every function gives its document back, changed or not, and
takes away nothing that 4.57.6 reads right.
"""

from collections.abc import Collection, Mapping
from typing import Any

Document = Mapping[str, Any]
"""A JSON object."""

# What 4.57.6 calls these values where it has other names for them.
_ROPE_NAMES = {
    model_type: {"rope_theta": "rotary_emb_base", "partial_rotary_factor": "rotary_pct"}
    for model_type in ("gpt_neox", "gpt_neox_japanese")
}

# Classes of 4.57.6 that refuse any other key in rope_scaling.
_LONGROPE = ("short_factor", "long_factor")
_ROPE_SCALING_KEYS = {
    **dict.fromkeys(("phi3", "phi4_multimodal"), _LONGROPE),
    **dict.fromkeys(("olmo", "olmo2", "chameleon", "fuyu"), ("factor",)),
}

# The attribute of 4.57.6 for the base of a kind of layer, where each kind has its own.
_GEMMA_3 = {"sliding_attention": "rope_local_base_freq"}
_MODERNBERT = {"full_attention": "global_rope_theta", "sliding_attention": "local_rope_theta"}
_LAYER_BASES = {
    "gemma3_text": _GEMMA_3,
    "gemma3n_text": _GEMMA_3,
    "modernbert": _MODERNBERT,
    "modernbert-decoder": _MODERNBERT,
}

# Keys that 5 writes under another name, and names of layers that it replaced, by model type.
_EXPERTS = {"num_local_experts": "num_experts"}
_RENAMED_KEYS = {
    "qwen3_moe": _EXPERTS,
    "qwen3_vl_moe_text": _EXPERTS,
    "qwen3_omni_moe_text": _EXPERTS,
}
_HYBRID = {"linear_attention": "mamba", "full_attention": "attention"}
_RENAMED_LAYERS = {
    "granitemoehybrid": "layer_types",
    "zamba": "layers_block_type",
    "zamba2": "layers_block_type",
}

# How 5 writes the numbers that JSON has no word for.
_FLOATS = {"Infinity": float("inf"), "-Infinity": float("-inf"), "NaN": float("nan")}

# Tokenizers of 4.57.6 that put the post-processor of tokenizer.json aside and make their own, and
# whether that adds the token for the beginning unless told otherwise. None adds one for the end.
_REBUILT = {
    "LlamaTokenizer": True,
    "CodeLlamaTokenizer": True,
    "GemmaTokenizer": True,
    "CohereTokenizer": True,
    "GPTNeoXTokenizer": False,
}

# Tokenizers of 4.57.6 that want their slow vocabulary as soon as add_prefix_space says anything.
_SLOW_VOCABULARIES = {
    "LlamaTokenizer": "tokenizer.model",
    "T5Tokenizer": "spiece.model",
}


def mend_config(config: Document) -> Document:
    """Mend a config.json, with the configurations inside it."""
    mended = {name: _mend_value(value) for name, value in config.items()}
    model_type = str(config.get("model_type"))
    rope = config.get("rope_parameters")
    theta = _ROPE_NAMES.get(model_type, {}).get("rope_theta", "rope_theta")
    if isinstance(rope, Mapping) and not {theta, "rope_scaling"} & config.keys():
        mended = {**_flatten_rope(rope, model_type), **mended}
    if config.get("scale_decoder_outputs") is False:
        # T5: 5 ties the embeddings always, and keeps here what 4 reads from the other key.
        mended["tie_word_embeddings"] = False
    for new, old in _RENAMED_KEYS.get(model_type, {}).items():
        if new in config:
            mended.setdefault(old, config[new])
    key = _RENAMED_LAYERS.get(model_type)
    if key is not None and isinstance(config.get(key), list):
        mended[key] = [_HYBRID.get(str(layer), layer) for layer in config[key]]
    return mended


def mend_tokenizer_config(config: Document) -> Document:
    """Mend what a tokenizer_config.json says by itself: its class and its special tokens."""
    mended = dict(config)
    if config.get("tokenizer_class") == "TokenizersBackend":
        # The same class under the name of 4.57; by default that has token_type_ids as well.
        mended["tokenizer_class"] = "PreTrainedTokenizerFast"
        mended.setdefault("model_input_names", ["input_ids", "attention_mask"])
    extra = config.get("extra_special_tokens")
    if isinstance(extra, list):
        # The names of 4.57: a list is additional_special_tokens, extra_special_tokens a mapping.
        del mended["extra_special_tokens"]
        known = config.get("additional_special_tokens")
        known = known if isinstance(known, list) else []
        mended["additional_special_tokens"] = [*known, *(t for t in extra if t not in known)]
    named = config.get("model_specific_special_tokens")
    if isinstance(named, Mapping) and named and not isinstance(extra, Mapping):
        mended["extra_special_tokens"] = named
    return mended


def is_rebuilt(config: Document) -> bool:
    """Whether 4.57 would put tokens at the ends of a text by its own rule, not tokenizer.json's.

    Transformers 5 leaves the two flags for it away, and writes ``backend``, which 4 never did.
    """
    flags = {"add_bos_token", "add_eos_token"} & config.keys()
    return _class_of(config) in _REBUILT and "backend" in config and not flags


def mend_added_tokens(config: Document, tokenizer: Document) -> Document:
    """Say whether a text begins and ends with a token, as the tokenizer.json has it.

    Args:
        config: A tokenizer_config.json that `is_rebuilt`.
        tokenizer: The tokenizer.json.
    """
    before, after = _added_tokens(tokenizer.get("post_processor"))
    begins = _content(config.get("bos_token")) in before
    ends = _content(config.get("eos_token")) in after
    if (begins, ends) == (_REBUILT[_class_of(config)], False):
        return config
    return {**config, "add_bos_token": begins, "add_eos_token": ends}


def mend_prefix_space(config: Document, files: Collection[str]) -> Document:
    """Leave add_prefix_space to tokenizer.json, where 4.57 would look for files that 5 drops.

    Args:
        config: The tokenizer_config.json.
        files: The names of the model's files.
    """
    vocabulary = _SLOW_VOCABULARIES.get(_class_of(config))
    asks = config.get("add_prefix_space") is not None and "backend" in config
    if vocabulary is None or vocabulary in files or "tokenizer.json" not in files or not asks:
        return config
    return {name: value for name, value in config.items() if name != "add_prefix_space"}


def _mend_value(value: Any) -> Any:
    """Mend what is inside: configurations of parts, and numbers that JSON has no word for."""
    if isinstance(value, list):
        return [_mend_value(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if value.keys() == {"__float__"}:
        return _FLOATS.get(str(value["__float__"]), value)
    if "model_type" in value:
        return mend_config(value)
    return {name: _mend_value(item) for name, item in value.items()}


def _flatten_rope(rope: Document, model_type: str) -> dict[str, Any]:
    """Give the keys that 4.57 reads instead of ``rope_parameters``."""
    layers = {name: value for name, value in rope.items() if isinstance(value, Mapping)}
    bases = {
        name: layers[layer]["rope_theta"]
        for layer, name in _LAYER_BASES.get(model_type, {}).items()
        if "rope_theta" in layers.get(layer, {})
    }
    shared: Document = layers.get("full_attention", {}) if layers else rope
    names = _ROPE_NAMES.get(model_type, {})
    flat = {
        names.get(name, name): shared[name]
        for name in ("rope_theta", "partial_rotary_factor")
        if name in shared
    }
    return {**flat, **bases, "rope_scaling": _rope_scaling(shared, model_type)}


def _rope_scaling(rope: Document, model_type: str) -> Document | None:
    kind = rope.get("type", rope.get("rope_type", "default"))
    if keys := _ROPE_SCALING_KEYS.get(model_type):
        scaling = {name: rope[name] for name in keys if name in rope}
        return {"type": kind, **scaling} if kind != "default" else None
    # A `type` was there before; 5 puts `rope_type` beside it.
    left_out = {"rope_theta", "partial_rotary_factor", *(("rope_type",) if "type" in rope else ())}
    scaling = {name: value for name, value in rope.items() if name not in left_out}
    # Sections of positions come with the kind `default`, and mean something.
    return scaling if scaling.keys() - {"rope_type", "type"} or kind != "default" else None


def _class_of(config: Document) -> str:
    return str(config.get("tokenizer_class")).removesuffix("Fast")


def _added_tokens(processor: object) -> tuple[list[str], list[str]]:
    """Give the tokens that a post-processor puts before and behind a text."""
    if not isinstance(processor, Mapping):
        return [], []
    before: list[str] = []
    after: list[str] = []
    for part in _objects_in(processor.get("processors", [processor])):
        here = before
        is_template = part.get("type") == "TemplateProcessing"
        for piece in _objects_in(part.get("single")) if is_template else ():
            if "Sequence" in piece:
                here = after
            elif isinstance(token := piece.get("SpecialToken"), Mapping):
                here.append(str(token.get("id")))
    return before, after


def _objects_in(value: object) -> list[Document]:
    """Give the objects of a list; anything else is nothing that tokenizers would take."""
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, Mapping)]


def _content(token: object) -> str | None:
    """Give the text of a token, which may stand with its properties."""
    content = token.get("content") if isinstance(token, Mapping) else token
    return content if isinstance(content, str) else None
