"""Write a model that takes pictures into a folder: random weights, 140,000 of them, in the architecture of SmolVLM.

    .venv-vllm/bin/python tests/vllm/tiny_idefics3.py FOLDER

It knows nothing, and says something else about every picture.  Idefics3 is what vLLM (0.32) serves where torchvision is
missing, as it is beside torch for the CPU; LLaVA, Qwen2-VL and Gemma 3 cannot even be imported there.
"""

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # type: ignore[import-not-found]
from transformers import (  # type: ignore[import-not-found]
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessor,
    Idefics3Processor,
    LlamaConfig,
    PreTrainedTokenizerFast,
)

CONTEXT = 256
SIDE, PATCH, SHUFFLED = 56, 14, 2
"""Pixels of a picture and of a patch; so many patches a side become one token."""
SPREAD, SEED = 0.6, 19
"""Of the weights.  With the usual spread of 0.02 all next tokens are about as likely, whatever is in the picture; with this seed
no two tokens are, for six tokens on, so that samples at a temperature of 0.01 are the greedy ones."""
MARKS = (
    "<pad>",
    "<bos>",
    "<eos>",
    "<image>",
    "<fake_token_around_image>",
    "<global-img>",
    "<end_of_utterance>",
)
PAD, BOS, EOS, IMAGE, *_ = range(len(MARKS))
LETTERS = ("Ċ", "Ġ", *map(chr, range(ord("!"), ord("~") + 1)))
"""Line break, blank and the rest of printable ASCII as byte-level tokenizers write them: what comes out is always text."""
TEMPLATE = """\
{%- for message in messages -%}
{{ message.role + ': ' }}
{%- if message.content is string %}{{ message.content }}{% else %}{% for part in message.content -%}
{{ '<image>' if part.type == 'image' else part.text }}
{%- endfor %}{% endif %}{{ '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"""


def write(folder: Path) -> None:
    """Write the processor and the weights."""
    words = {word: number for number, word in enumerate((*MARKS, *LETTERS))}
    _processor(words).save_pretrained(folder)
    text = LlamaConfig(
        vocab_size=len(words),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
    )
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": SIDE,
        "patch_size": PATCH,
    }
    config = Idefics3Config(
        text_config=text,
        vision_config=vision,
        scale_factor=SHUFFLED,
        image_token_id=IMAGE,
        pad_token_id=PAD,
    )
    model = Idefics3ForConditionalGeneration(config)
    torch.manual_seed(SEED)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.normal_(std=SPREAD)
    model.save_pretrained(folder)


def _processor(words: dict[str, int]) -> Idefics3Processor:
    tokenizer = Tokenizer(models.BPE(words, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(MARKS))
    side = {"longest_edge": SIDE}
    return Idefics3Processor(
        Idefics3ImageProcessor(size=side, max_image_size=side, do_image_splitting=False),
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            pad_token=MARKS[PAD],
            bos_token=MARKS[BOS],
            eos_token=MARKS[EOS],
            model_max_length=CONTEXT,
        ),
        image_seq_len=(SIDE // PATCH // SHUFFLED) ** 2,
        chat_template=TEMPLATE,
    )


if __name__ == "__main__":
    write(Path(sys.argv[1]))
