"""A micro model from verdicts: what it is shown, what it is not, and that it is served (`make test-train`)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from surefoot import BadInput
from surefoot.training.distil.examples import (
    DistilExample,
    as_text,
    is_held_out,
    read_examples,
    shared_instructions,
)


def line(user: str, answer: str, system: str = "Add.") -> str:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return json.dumps({"job": "j", "prompt": messages, "answer": answer})


def test_each_prompt_is_learned_once_with_the_answer_that_it_has_most_often(tmp_path: Path) -> None:
    file = tmp_path / "examples.jsonl"
    file.write_text(
        "\n".join([line("1 + 1", "2"), line("1 + 1", "3"), line("1 + 1", "2"), line("2 + 1", "3")])
    )
    examples, ambiguous = read_examples([file])
    assert [(each.messages[1][1], each.answer) for each in examples] == [("1 + 1", "2"), ("2 + 1", "3")]
    assert ambiguous == 1
    assert shared_instructions(examples) == ("Add.",)
    assert as_text(examples[0].messages, ("Add.",)) == "1 + 1"
    assert as_text(examples[0].messages) == "Add.1 + 1"


def test_a_system_message_that_differs_is_part_of_the_prompt(tmp_path: Path) -> None:
    file = tmp_path / "examples.jsonl"
    file.write_text("\n".join([line("1 + 1", "2"), line("1 + 1", "0", system="Subtract.")]))
    examples, ambiguous = read_examples([file])
    assert len(examples) == 2 and not ambiguous and shared_instructions(examples) == ()


@pytest.mark.parametrize(
    "text", ["", "nothing", "{}", '{"prompt": [], "answer": 3}', '{"prompt": "x", "answer": "3"}']
)
def test_files_without_examples_are_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "examples.jsonl"
    file.write_text(text)
    with pytest.raises(BadInput, match=r"is no example|nothing to learn"):
        read_examples([file])
    with pytest.raises(BadInput, match="cannot be read"):
        read_examples([tmp_path / "none.jsonl"])


@pytest.mark.train
def test_texts_that_are_too_long_are_refused() -> None:
    from surefoot.training.distil.train import identity_of

    with pytest.raises(BadInput, match="4,096 bytes at most; the longest example has 5,001"):
        identity_of([DistilExample((("", "x" * 5000),), "y")])


@pytest.mark.train
def test_a_small_task_is_learned_and_served(tmp_path: Path) -> None:
    """Say the digit that was said, of 300 prompts: what was kept from it is answered right, too."""
    file, out = tmp_path / "examples.jsonl", tmp_path / "micro"
    rules = 'Don\'t reason:\n\tsay the "digit" \\ and nothing else. {{ x }} {% if %}'
    file.write_text("\n".join(line(f"{n:03d} says {n % 10}", str(n % 10), rules) for n in range(300)))
    command = [sys.executable, "-m", "surefoot.training.distil.train", str(file), "--out", str(out)]
    done = subprocess.run([*command, "--steps", "200"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    run: dict[str, Any] = json.loads((out / "run.json").read_text())
    kept = sum(is_held_out(f"{n:03d} says {n % 10}") for n in range(300))
    assert (run["prompts"], run["asked"], run["ambiguous"]) == (300, kept, 0)
    assert run["wrong"] <= kept // 10
    assert "knows the task of these prompts" in (out / "CARD.md").read_text()


@pytest.mark.train
def test_bad_examples_are_said_in_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "surefoot.training.distil.train", str(tmp_path / "no"), "--out", "x"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (
        done.returncode == 2 and done.stderr.startswith("the examples in") and "Traceback" not in done.stderr
    )


@pytest.mark.train
def test_the_bench_runs(tmp_path: Path) -> None:
    bench = Path(__file__).parents[2] / "bench" / "distil.py"
    command = [
        sys.executable,
        str(bench),
        "--digits",
        "6",
        "--training-steps",
        "20",
        "--results",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    # So few steps teach nothing: the votes stall, and the page says so.
    assert done.returncode == 1, done.stderr
    page = (tmp_path / "distil.md").read_text()
    assert "| the double, by votes | 36 | yes |" in page and "| the micro model, by votes | 0 | no, " in page
