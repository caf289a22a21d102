import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from surefoot import BadInput, ModelUnavailable, OpenAIModel, Towers
from surefoot.models.base import Ask, Message
from surefoot.models.connect import open_model
from surefoot.models.embedded.llama_cpp import (
    NAME,
    DraftFile,
    EmbeddedServer,
    NoEmbeddedModel,
    embedded_options,
    weights,
)
from surefoot.models.gather import in_order
from surefoot.models.offers import Offer, ToolSchema
from surefoot.models.openai.options import Options


async def test_the_embedded_model_answers_a_step_in_every_view() -> None:
    task = Towers(10, "compact")
    state = task.start()
    async with open_model(NAME) as model:
        asks = [Ask(task.ask(state, view), 0.0, 40, view) for view in range(task.views)]
        answers = {view: sample async for view, sample in model.sample(asks)}
    assert {task.read(answers[view].text, state, view)[0] for view in range(3)} == {(1, 0, 1)}
    assert {sample.finish for sample in answers.values()} == {"stop"}


async def test_every_sample_is_drawn_for_itself_from_the_whole_distribution() -> None:
    """On what it never saw in training the model is at a loss; truncated or correlated samples would agree."""
    with EmbeddedServer() as server:
        async with OpenAIModel(server.url, NAME, options=embedded_options()) as model:
            asks = [Ask("ABC", 2.0, 20, number) for number in range(24)]
            texts = [sample.text async for _, sample in model.sample(asks)]
    assert len(set(texts)) > 10


def test_a_server_of_its_own_process_tells_its_address_and_ends_on_sigterm() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "surefoot.models.embedded.llama_cpp"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert httpx.get(f"{url}/models", timeout=10).json()["data"][0]["id"] == NAME
    process.terminate()
    assert process.wait(timeout=20) == 0


async def test_a_closed_server_no_longer_answers() -> None:
    with EmbeddedServer() as server:
        pass
    with pytest.raises(ModelUnavailable):
        async with open_model(server.url):
            pass


async def test_a_micro_model_is_served_from_its_folder(tmp_path: Path) -> None:
    shutil.copy(weights(), tmp_path / "micro.gguf")
    shutil.copy(weights().with_name("config.json"), tmp_path)
    task = Towers(10, "compact")
    async with open_model(f"micro:{tmp_path}") as model:
        assert model.name == "micro"
        ((_, sample),) = [one async for one in model.sample([Ask(task.ask(task.start()), 0.0, 40, 0)])]
    assert task.read(sample.text, task.start())[0] == (1, 0, 1)


@pytest.mark.parametrize("config", [None, "{}", "nothing", '{"max_position_embeddings": "long"}'])
async def test_a_folder_without_a_micro_model_is_refused(config: str | None, tmp_path: Path) -> None:
    shutil.copy(weights(), tmp_path / "micro.gguf")
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(BadInput, match="a micro model is a folder with"):
        async with open_model(f"micro:{tmp_path}"):
            pass


def test_missing_weights_and_bad_ports_are_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NoEmbeddedModel, match=r"weights .* are missing"):
        EmbeddedServer(tmp_path / "none.gguf")
    with pytest.raises(BadInput, match="not 70000"):
        EmbeddedServer(port=70000)
    with EmbeddedServer() as server, pytest.raises(NoEmbeddedModel, match="cannot serve"):
        EmbeddedServer(port=int(server.url.rsplit(":", 1)[1].split("/")[0]))


def test_without_a_library_of_the_systems_everything_else_is_there(tmp_path: Path) -> None:
    """llama.cpp is built with OpenMP, which slim images lack."""
    (tmp_path / "xllamacpp.py").write_text(
        "raise ImportError('libgomp.so.1: cannot open shared object file', name='xllamacpp.xllamacpp')"
    )
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import surefoot\n"
        "from surefoot.models.embedded.llama_cpp import EmbeddedServer, NoEmbeddedModel\n"
        "try:\n    EmbeddedServer()\nexcept NoEmbeddedModel as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "llama.cpp cannot be loaded (libgomp.so.1" in done.stdout and "apt-get" in done.stdout


async def test_llama_cpp_takes_tools_and_ignores_them_so_that_they_are_offered_in_words() -> None:
    notices: list[str] = []
    offer = Offer((ToolSchema("pick", "Pick.", '{"type":"object"}'),), "required")
    async with open_model("ponder", options=Options(on_notice=notices.append)) as model:
        (sample,) = await in_order(model, [Ask((Message("user", "27+18="),), 0.0, 30, 0, offer=offer)])
    assert sample.usage.prompt > 300, "the offer is part of the prompt"
    assert ["it takes them and ignores them" in notice for notice in notices] == [True]


async def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(BadInput, match="'gpt-9'"):
        async with open_model("gpt-9"):
            pass


@pytest.mark.parametrize("length", [1, 4])
def test_a_draft_changes_no_greedy_answer(length: int) -> None:
    """ponder drafts for ponder: what it proposes is accepted, but for what lies beyond the end."""
    said = {"prompt": "48+67=", "temperature": 0, "top_k": 1, "n_predict": 60}
    answers = []
    for draft in (None, DraftFile(weights("ponder"), length)):
        with EmbeddedServer(name="ponder", slots=1, draft=draft) as server:
            url = server.url.removesuffix("/v1") + "/completion"
            answers.append(httpx.post(url, json=said, timeout=60).json())
    plain, drafted = answers
    assert drafted["content"] == plain["content"] and len(plain["content"]) > 40
    assert drafted["timings"]["draft_n_accepted"] > 0.8 * drafted["timings"]["draft_n"] > 0
