"""Which model has answered, as far as its server says so."""

import pytest

from surefoot.models.openai.answering_model import another


@pytest.mark.parametrize(
    ("asked", "signed"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4", "gpt-4-0613"),
        ("gemini-2.0-flash", "gemini-2.0-flash-001"),
        ("openai/gpt-4o", "gpt-4o-2024-08-06"),
        ("qwen/qwen3-8b:free", "qwen/qwen3-8b"),
        ("llama3.2", "llama3.2:latest"),
        ("gemma-3-1b-it-qat", "gemma-3-1b-it-qat:2"),
        ("/models/Qwen3-8B-Q4_K_M.gguf", "qwen3-8b"),
        ("m", "M"),
        ("m", ""),
    ],
)
def test_names_of_one_model(asked: str, signed: str) -> None:
    assert not another(asked, signed)


@pytest.mark.parametrize(
    ("asked", "signed"),
    [
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4", "gpt-3.5-turbo"),
        ("qwen3-8b", "qwen3-80b"),
        ("nemotron-3-nano", "ab-qwen3-32b"),
        ("anything", "gemma-3-1b-it-qat:2"),
    ],
)
def test_names_of_two_models(asked: str, signed: str) -> None:
    assert another(asked, signed)
