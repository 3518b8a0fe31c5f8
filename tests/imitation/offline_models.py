"""Tiny, randomly initialised models in local folders: what the vision-language policies otherwise download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WORDS = ("reach", "push", "the", "goal")
IMAGE_TOKENS = {
    "fake_image_token": "<fake_token_around_image>",
    "global_image_token": "<global-img>",
    "image_token": "<image>",
    "end_of_utterance_token": "<end_of_utterance>",
}
VIDEO_TOKEN = {"video_token": "<video>"}


def write_tokenizer(folder: Path, named: dict[str, str]) -> Any:
    """A tokenizer of a few words, with `named` special tokens."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<unk>", "<s>", "</s>", *named.values(), *WORDS]
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens=named,
    )
    fast.save_pretrained(folder)
    return fast


def write_smolvlm(folder: Path) -> Path:
    """A SmolVLM of two layers: config, tokenizer and processor, no weights."""
    from transformers import SmolVLMConfig, SmolVLMImageProcessor, SmolVLMProcessor, SmolVLMVideoProcessor

    tokenizer = write_tokenizer(folder, {**IMAGE_TOKENS, **VIDEO_TOKEN})
    side = 32
    config = SmolVLMConfig(
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": side,
            "patch_size": 8,
        },
        text_config={
            "model_type": "llama",
            "hidden_size": 64,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "vocab_size": len(tokenizer),
            "pad_token_id": tokenizer.pad_token_id,
        },
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
    )
    config.save_pretrained(folder)
    sizes = {"size": {"longest_edge": side}, "max_image_size": {"longest_edge": side}}
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(**sizes), tokenizer, SmolVLMVideoProcessor(**sizes), image_seq_len=4
    )
    processor.save_pretrained(folder)
    return folder
