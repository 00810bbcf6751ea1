"""SGLang 0.5.9 chooses conversation templates by the model's path: its own code, on our paths."""

from types import ModuleType

import pytest

from tests.sglang.programs import TOKENIZER, Environment, bundle_model, make_model
from tests.sglang.real_sglang import load_module, read_module

MODELS = {
    "lmsys/vicuna-7b-v1.5": "vicuna_v1.1",
    "liuhaotian/llava-v1.5-7b": "vicuna_v1.1",
    "OpenGVLab/InternVL3-8B": "internvl-2-5",
    "microsoft/Phi-4-multimodal-instruct": "phi-4-mm",
    "deepseek-ai/deepseek-vl2-tiny": "deepseek-vl2",
    "deepseek-ai/DeepSeek-OCR": "deepseek-ocr",
    "deepseek-ai/Janus-Pro-7B": "janus-pro",
    "openbmb/MiniCPM-V-2_6": "minicpmv",
    "lmms-lab/llava-onevision-qwen2-7b-ov": "chatml-llava",
    "Qwen/Qwen3-8B": None,
}


@pytest.fixture(scope="module")
def conversation() -> ModuleType:
    # It reads one template's prompt from a file as soon as it is imported.
    return load_module(
        "sglang.srt.parser.conversation", read_system_prompt_from_file=lambda _: "prompt"
    )


@pytest.mark.parametrize(("model_id", "template"), MODELS.items(), ids=MODELS)
@pytest.mark.parametrize("place", ["bundled", "directory", "directory below it"])
def test_a_shadow_gets_the_template_of_its_model(
    place: str,
    model_id: str,
    template: str | None,
    activated: Environment,
    conversation: ModuleType,
) -> None:
    """Where the model's own path had the name in its last part, or in the one before it."""
    config = {"model_type": "any"}
    changes = {"SGLANG_MODEL": model_id}
    if place == "bundled":
        bundle_model(
            activated, model_id=model_id, config__json=config, tokenizer_config__json=TOKENIZER
        )
    else:
        below = "/fp8" if place == "directory below it" else ""
        model = make_model(
            activated.home / f"{model_id}{below}",
            config__json=config,
            tokenizer_config__json=TOKENIZER,
        )
        changes["SGLANG_MODEL"] = str(model)
    shadow = activated.resolve_shadow(**changes)
    assert conversation.get_conv_template_by_model_path(model_id) == template
    assert conversation.get_conv_template_by_model_path(str(shadow)) == template


def test_glm_is_told_by_its_name_as_well(activated: Environment) -> None:
    """Not a template, but the same rule: srt/configs/model_config.py looks for ``glm-4.6v``."""
    assert '"glm-4.6v" in self.model_path.lower()' in read_module("sglang.srt.configs.model_config")
    bundle_model(activated, model_id="zai-org/GLM-4.6V", tokenizer_config__json=TOKENIZER)
    shadow = activated.resolve_shadow(SGLANG_MODEL="zai-org/GLM-4.6V")
    assert "glm-4.6v" in str(shadow).lower()
