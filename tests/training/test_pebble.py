"""pebble's files, card and training examples; its network is measured by its own recipe, not here."""

import hashlib
import itertools
import json
import math
import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from surefoot.errors import BadInput
from surefoot.models.embedded import WEIGHTS
from surefoot.models.embedded.worker_protocol import EOS, VOCABULARY
from surefoot.tools.towers import compact
from surefoot.tools.towers.board import Move, apply, broken_rule, is_board, optimal_length, optimal_move
from surefoot.training.pebble import card, data

HERE = WEIGHTS / "pebble"
PARAMETERS = 869_760


def read_string(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    return file.read(length).decode()


def read_value(file: BinaryIO, kind: int) -> Any:
    """GGUF's metadata values; kind numbers are those of its specification."""
    if kind == 8:
        return read_string(file)
    if kind == 9:
        inner, count = struct.unpack("<IQ", file.read(12))
        return [read_value(file, inner) for _ in range(count)]
    form = {4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q"}[kind]
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def read_gguf(path: Path) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """Return metadata and tensor shapes."""
    with path.open("rb") as file:
        magic, _, tensors, entries = struct.unpack("<4sIQQ", file.read(24))
        assert magic == b"GGUF"
        metadata = {}
        for _ in range(entries):
            name = read_string(file)
            metadata[name] = read_value(file, struct.unpack("<I", file.read(4))[0])
        shapes = {}
        for _ in range(tensors):
            name = read_string(file)
            (dimensions,) = struct.unpack("<I", file.read(4))
            shapes[name] = struct.unpack(f"<{dimensions}Q", file.read(8 * dimensions))
            file.read(12)
    return metadata, shapes


def test_the_gguf_file_has_the_declared_size_and_a_token_for_every_byte() -> None:
    metadata, shapes = read_gguf(HERE / "pebble.gguf")
    assert sum(math.prod(shape) for shape in shapes.values()) == PARAMETERS
    tokens = metadata["tokenizer.ggml.tokens"]
    assert len(tokens) == len(set(tokens)) == metadata["llama.vocab_size"] == VOCABULARY
    assert tokens[EOS] == "<eos>" and metadata["tokenizer.ggml.eos_token_id"] == EOS
    assert tokens[ord("a")] == "a" and metadata["tokenizer.ggml.add_bos_token"] is False


def test_the_safetensors_file_holds_the_same_network_in_float32() -> None:
    with (HERE / "model.safetensors").open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    tensors = [entry for name, entry in header.items() if name != "__metadata__"]
    assert {entry["dtype"] for entry in tensors} == {"F32"}
    assert sum(math.prod(entry["shape"]) for entry in tensors) == PARAMETERS
    config = json.loads((HERE / "config.json").read_text())
    assert header["model.embed_tokens.weight"]["shape"] == [config["vocab_size"], config["hidden_size"]]


def test_the_tokenizer_for_vllm_agrees_with_the_one_for_llama_cpp() -> None:
    described = json.loads((HERE / "tokenizer.json").read_text())
    vocabulary = described["model"]["vocab"]
    metadata, _ = read_gguf(HERE / "pebble.gguf")
    assert sorted(vocabulary, key=vocabulary.__getitem__) == metadata["tokenizer.ggml.tokens"]
    settings = json.loads((HERE / "tokenizer_config.json").read_text())
    assert settings["chat_template"] == metadata["tokenizer.chat_template"]


def test_the_card_shows_what_was_measured_on_the_shipped_weights() -> None:
    measured = json.loads(card.MEASURED.read_text())
    assert card.between_marks(card.CARD.read_text()) == card.render(measured)
    assert measured["sha256"] == hashlib.sha256((HERE / "pebble.gguf").read_bytes()).hexdigest()
    assert measured["parameters"] == PARAMETERS


def test_the_card_covers_every_step_up_to_14_disks() -> None:
    measured = json.loads(card.MEASURED.read_text())
    for kind in ("full", "move_only"):
        rows = {row["disks"]: row for row in measured[kind]}
        assert all(rows[n]["exhaustive"] and rows[n]["steps"] == optimal_length(n) for n in range(1, 15))


@pytest.mark.parametrize(("disks", "view"), list(itertools.product(range(1, 10), range(3))))
def test_every_view_of_the_shortest_solution_follows_the_rule(disks: int, view: int) -> None:
    order = data.view_order(disks, view)
    for step in range(optimal_length(disks)):
        example = data.path_example(disks, step, view)
        disk, source, target = optimal_move(disks, step)
        seen = Move(disk, order[source], order[target])
        assert data.next_move(example.pegs, example.previous) == seen
        if step + 1 < optimal_length(disks):
            following = data.path_example(disks, step + 1, view)
            assert (following.previous, following.pegs) == (seen, apply(example.pegs, seen))


def test_the_three_views_of_a_step_are_three_different_texts() -> None:
    assert len({data.path_example(7, 55, view).prompt for view in range(3)}) == 3


def test_every_training_example_is_answered_right() -> None:
    for example in itertools.islice(data.examples(seed=1), 3000):
        move = compact.read_move(example.answer[:3])
        assert move is not None
        assert broken_rule(example.pegs, move) is None
        assert (move.disk == 1) == (example.previous is None or example.previous.disk != 1)
        if not example.move_only:
            assert compact.read_answer(example.answer) == (move, apply(example.pegs, move))


def test_the_previous_move_could_have_led_to_the_board() -> None:
    for example in itertools.islice(data.examples(seed=2), 3000):
        if example.previous is not None:
            disk, source, target = example.previous
            assert example.pegs[target][-1] == disk
            before = apply(example.pegs, Move(disk, target, source))
            assert apply(before, example.previous) == example.pegs


def test_prompts_and_answers_have_the_declared_lengths() -> None:
    for example in itertools.islice(data.examples(seed=3), 500):
        disks = sum(map(len, example.pegs))
        assert len(example.prompt) == disks + 8
        assert len(example.answer) == (3 if example.move_only else disks + 7)


def test_every_pair_of_disks_is_compared() -> None:
    rng, disks, pairs = random.Random(4), 8, set()
    for _ in range(1000):
        pegs = data.comparison_pegs(disks, rng)
        assert is_board(pegs, disks)
        pairs.add(tuple(sorted(peg[-1] if peg else disks + 1 for peg in pegs if 1 not in peg)))
    assert pairs == set(itertools.combinations(range(2, disks + 2), 2))


def test_spreading_keeps_the_order_of_the_disks_and_disk_1() -> None:
    rng = random.Random(5)
    before = ((4, 1), (3,), (2,))
    for _ in range(100):
        (large, one), (middle,), (small,) = data.spread(before, rng)
        assert 1 == one < small < middle < large <= data.MAX_DISKS


def test_disk_1_does_not_move_twice_where_nothing_else_can() -> None:
    with pytest.raises(BadInput, match="no step is left"):
        data.next_move(((), (3, 2, 1), ()), Move(1, 0, 1))


def test_importing_surefoot_and_the_examples_needs_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, surefoot, surefoot.training.pebble.data, surefoot.training.pebble.card; "
        "[getattr(surefoot, name) for name in surefoot.__all__]; "
        "print({'torch', 'numpy', 'gguf'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "set()"
