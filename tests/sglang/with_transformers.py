"""What a transformers makes of models: run as a script, by an interpreter that has only that one.

with_transformers.py make DIRECTORY        write a small model of each family, without weights
with_transformers.py save SOURCE TARGET    load each model, and save it again
with_transformers.py read MODEL…           write what is read, as JSON, one object a model
"""

import json
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import transformers
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

TRAINING = [
    "The road goes ever on and on, down from the door where it began.",
    "Hello world! 12345 äöü 漢字 🙂\n\n  tabs\tand   spaces. I'm, you've, they'd.",
    "def f(x):\n    return x + 1\n",
] * 20
TEXTS = [
    "Hello world! 12345 äöü 漢字 🙂",
    " leading  spaces\n\n\ttab",
    "<|user|>Hi<|end|> <s>x</s> <unk> [INST] a [/INST] <extra_id_0> <|im_start|>user\n <bos><mask>",
    "I'm you've <|eot_id|> <tool_call> <start_of_turn>",
]
TEMPLATE = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
# How texts are split: in Llama 3 and those after it, and in Qwen, where digits stand alone.
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_2 = LLAMA_3.replace("{1,3}", "")
# Kept in generation_config.json by transformers 5, and read from there by SGLang.
GENERATION = {*GenerationConfig().to_dict(), "use_cache", "transformers_version", "_name_or_path"}

Json = dict[str, Any]


# The originals ------------------------------------------------------------------------------------

LONG_ROPE = {"type": "longrope", "short_factor": [1.0] * 6, "long_factor": [1.5] * 6}
LLAMA_ROPE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
OLD_YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
SMALL = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 4,
    "vocab_size": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "torch_dtype": "bfloat16",
}
GEMMA = {**SMALL, "head_dim": 16, "hidden_activation": "gelu_pytorch_tanh", "rope_theta": 12345.0}
CONFIGS: dict[str, Json] = {
    "llama-2": {**SMALL, "model_type": "llama", "rope_scaling": None},
    "llama-3": {
        **SMALL,
        "model_type": "llama",
        "eos_token_id": [2, 3],
        "rope_theta": 500000.0,
        "rope_scaling": LLAMA_ROPE,
        "max_position_embeddings": 131072,
        "tie_word_embeddings": True,
    },
    "qwen2": {
        **SMALL,
        "model_type": "qwen2",
        "rope_theta": 1000000.0,
        "rope_scaling": OLD_YARN,
        "use_sliding_window": False,
        "sliding_window": 4096,
    },
    "qwen3": {
        **SMALL,
        "model_type": "qwen3",
        "head_dim": 32,
        "rope_theta": 1000000,
        "rope_scaling": YARN,
    },
    "qwen3-moe": {
        **SMALL,
        "model_type": "qwen3_moe",
        "rope_theta": 10000000.0,
        "num_experts": 64,
        "num_experts_per_tok": 4,
    },
    "phi-4-mini": {
        **SMALL,
        "model_type": "phi3",
        "partial_rotary_factor": 0.75,
        "original_max_position_embeddings": 4096,
        "max_position_embeddings": 131072,
        "rope_theta": 10000.0,
        "rope_scaling": LONG_ROPE,
        "sliding_window": 262144,
        "tie_word_embeddings": True,
    },
    "gemma": {**GEMMA, "model_type": "gemma"},
    "gemma-2": {**GEMMA, "model_type": "gemma2", "sliding_window": 128},
    "gemma-3": {
        **GEMMA,
        "model_type": "gemma3_text",
        "rope_local_base_freq": 54321.0,
        "rope_scaling": {"rope_type": "linear", "factor": 8.0},
        "sliding_window": 128,
        "num_hidden_layers": 8,
    },
    "mistral": {**SMALL, "model_type": "mistral", "rope_theta": 1000000.0, "sliding_window": None},
    "mistral-tekken": {**SMALL, "model_type": "mistral", "head_dim": 32, "rope_theta": 1000000.0},
    "t5": {
        "model_type": "t5",
        "d_model": 64,
        "d_kv": 16,
        "d_ff": 128,
        "num_layers": 2,
        "num_heads": 4,
        "vocab_size": 512,
        "relative_attention_num_buckets": 16,
        "feed_forward_proj": "gated-gelu",
        "pad_token_id": 0,
        "eos_token_id": 1,
        "decoder_start_token_id": 0,
    },
    "gpt2": {"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 256},
}


def byte_level(
    specials: list[str], pattern: str | None = None, bos: str | None = None
) -> Tokenizer:
    """A tokenizer as that of GPT-2, or with a pattern of its own as that of Llama 3."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if pattern is not None:
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        byte = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TRAINING, trainer)
    tokenizer.add_special_tokens(specials)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    if bos is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A",
            pair=f"{bos} $A {bos}:1 $B:1",
            special_tokens=[(bos, tokenizer.token_to_id(bos))],
        )
    return tokenizer


def sentence_piece(specials: list[str], *, gemma: bool = False) -> Tokenizer:
    """A tokenizer as that of Llama 2, or of Gemma: BPE with bytes, spaces as U+2581."""
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    pieces = [*specials, *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=pieces, initial_alphabet=["▁"], show_progress=False
    )
    trained.train_from_iterator(TRAINING, trainer)
    model = json.loads(trained.to_str())["model"]
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    whole = json.loads(tokenizer.to_str())
    whole["model"] |= {"vocab": model["vocab"], "merges": model["merges"]}
    tokenizer = Tokenizer.from_str(json.dumps(whole))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if gemma:
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        steps.append(decoders.Strip(" ", 1, 0))
    tokenizer.decoder = decoders.Sequence(steps)
    for token in specials:
        is_special = token != "<mask>"
        add = tokenizer.add_special_tokens if is_special else tokenizer.add_tokens
        add([AddedToken(token, normalized=False, special=is_special)])
    return tokenizer


def unigram() -> Tokenizer:
    """A tokenizer as that of T5."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    split = [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(split)
    tokenizer.decoder = decoders.Metaspace()
    specials = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=specials, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(TRAINING, trainer)
    tokenizer.add_special_tokens([f"<extra_id_{number}>" for number in range(99, -1, -1)])
    end = ("</s>", tokenizer.token_to_id("</s>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[end]
    )
    return tokenizer


LLAMA = {
    "tokenizer_class": "LlamaTokenizer",
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "legacy": False,
    "model_max_length": 4096,
    "chat_template": TEMPLATE,
}
LLAMA_TOKENS = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
GEMMA_TOKENS = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"]
GEMMA_TOKENIZER = {
    "tokenizer_class": "GemmaTokenizer",
    "bos_token": "<bos>",
    "eos_token": "<eos>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "additional_special_tokens": ["<start_of_turn>", "<end_of_turn>"],
    "model_max_length": 8192,
    "chat_template": TEMPLATE,
}
QWEN_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>"]
QWEN = {
    "tokenizer_class": "Qwen2Tokenizer",
    "bos_token": None,
    "eos_token": "<|im_end|>",
    "pad_token": "<|endoftext|>",
    "unk_token": None,
    "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
    "model_max_length": 131072,
    "chat_template": TEMPLATE,
}
FAST = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "model_input_names": ["input_ids", "attention_mask"],
    "chat_template": TEMPLATE,
}
LLAMA_3_TOKENS = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]
PHI_TOKENS = ["<|endoftext|>", "<|end|>", "<|user|>", "<|assistant|>"]
TEKKEN_TOKENS = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]

TOKENIZERS: dict[str, tuple[Callable[[], Tokenizer], Json]] = {
    "llama-2": (lambda: sentence_piece(LLAMA_TOKENS), LLAMA),
    "llama-2 without bos": (
        lambda: sentence_piece(LLAMA_TOKENS),
        {**LLAMA, "add_bos_token": False},
    ),
    "llama-2 with eos": (lambda: sentence_piece(LLAMA_TOKENS), {**LLAMA, "add_eos_token": True}),
    "llama-3": (
        lambda: byte_level(LLAMA_3_TOKENS, LLAMA_3, bos="<|begin_of_text|>"),
        {
            **FAST,
            "bos_token": "<|begin_of_text|>",
            "eos_token": "<|eot_id|>",
        },
    ),
    "qwen2": (lambda: byte_level(QWEN_TOKENS, QWEN_2), QWEN),
    "qwen3": (lambda: byte_level(QWEN_TOKENS, QWEN_2), QWEN),
    "phi-4-mini": (
        lambda: byte_level(PHI_TOKENS, LLAMA_3),
        {
            "tokenizer_class": "GPT2Tokenizer",
            **dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>"),
            "chat_template": TEMPLATE,
        },
    ),
    "gemma": (lambda: sentence_piece(GEMMA_TOKENS, gemma=True), GEMMA_TOKENIZER),
    "gemma-3": (
        lambda: sentence_piece([*GEMMA_TOKENS, "<image>"], gemma=True),
        {
            **GEMMA_TOKENIZER,
            "additional_special_tokens": [],
            "extra_special_tokens": {"image_token": "<image>"},
        },
    ),
    "mistral": (
        lambda: sentence_piece(LLAMA_TOKENS),
        {**LLAMA, "additional_special_tokens": ["[INST]"]},
    ),
    "mistral-tekken": (
        lambda: byte_level(TEKKEN_TOKENS, LLAMA_3, bos="<s>"),
        {
            **FAST,
            "bos_token": "<s>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "additional_special_tokens": ["[INST]", "[/INST]"],
        },
    ),
    "t5": (
        unigram,
        {
            "tokenizer_class": "T5Tokenizer",
            "eos_token": "</s>",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
            "additional_special_tokens": [f"<extra_id_{number}>" for number in range(100)],
            "extra_ids": 100,
            "model_max_length": 512,
        },
    ),
    "gpt2": (
        lambda: byte_level(["<|endoftext|>"]),
        {
            "tokenizer_class": "GPT2Tokenizer",
            **dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>"),
            "model_max_length": 1024,
        },
    ),
}


def make(directory: str) -> None:
    """Write each model as transformers 4 leaves it: a configuration, a tokenizer, or both."""
    for name in sorted(CONFIGS.keys() | TOKENIZERS.keys()):
        model = os.path.join(directory, name)
        os.makedirs(model)
        config = CONFIGS.get(name) or CONFIGS[name.partition(" ")[0]]
        with open(os.path.join(model, "config.json"), "w", encoding="utf-8") as stream:
            json.dump({"architectures": ["Any"], **config}, stream)
        if name in TOKENIZERS:
            build, tokenizer_config = TOKENIZERS[name]
            build().save(os.path.join(model, "tokenizer.json"))
            file = os.path.join(model, "tokenizer_config.json")
            with open(file, "w", encoding="utf-8") as stream:
                json.dump(tokenizer_config, stream)
            # With the files and the keys that it adds.
            AutoTokenizer.from_pretrained(model).save_pretrained(model)


def save(source: str, target: str) -> None:
    """Let this transformers load each model, and save it."""
    for name in sorted(os.listdir(source)):
        model, saved = os.path.join(source, name), os.path.join(target, name)
        AutoConfig.from_pretrained(model).save_pretrained(saved)
        if os.path.exists(os.path.join(model, "tokenizer_config.json")):
            AutoTokenizer.from_pretrained(model).save_pretrained(saved)


# What is read -------------------------------------------------------------------------------------


def read_config(model: str) -> Json:
    """Give the values that a server computes with."""
    config = AutoConfig.from_pretrained(model).to_dict()
    if config.get("head_dim") is None and "num_attention_heads" in config:
        # 4 leaves to the reader what 5 writes down.
        config["head_dim"] = config["hidden_size"] // config["num_attention_heads"]
    return {name: value for name, value in config.items() if name not in GENERATION}


def read_tokenizer(model: str) -> Json:
    """Give what a server sees of a tokenizer: what it makes of texts, and its tokens."""
    tokenizer = AutoTokenizer.from_pretrained(model, clean_up_tokenization_spaces=False)
    encoded = [tokenizer(text)["input_ids"] for text in TEXTS]
    messages = [{"role": "user", "content": "Hi"}]
    return {
        "vocabulary": tokenizer.get_vocab(),
        "special": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
        "special ids": sorted(tokenizer.all_special_ids),
        "image_token": str(getattr(tokenizer, "image_token", None)),
        "model_max_length": tokenizer.model_max_length,
        "model_input_names": tokenizer.model_input_names,
        "encoded": encoded,
        "bare": [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS],
        "pair": tokenizer(TEXTS[0], TEXTS[3])["input_ids"],
        "decoded": [tokenizer.decode(ids) for ids in encoded],
        "plain": [tokenizer.decode(ids, skip_special_tokens=True) for ids in encoded],
        "chat": tokenizer.apply_chat_template(messages, tokenize=False)
        if tokenizer.chat_template
        else None,
    }


def read(model: str) -> Json:
    """Read a model, or say why it cannot be read."""
    parts: Json = {}
    readers: dict[str, Callable[[str], Json]] = {"config": read_config, "tokenizer": read_tokenizer}
    for part, reader in readers.items():
        if os.path.exists(os.path.join(model, f"{part}.json")):
            try:
                parts[part] = reader(model)
            except Exception as error:  # noqa: BLE001 -- whatever it dies of is the result
                parts[part] = f"{type(error).__name__}: {error}"
    return parts


def main(command: str, *arguments: str) -> None:
    """Do one of the three."""
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    if command == "read":
        json.dump([read(model) for model in arguments], sys.stdout)
    elif command == "make":
        make(*arguments)
    else:
        save(*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
