"""Evals of inspect_ai on a model that errs: one sample an answer, several epochs, and answers elected by surefoot's provider.

python bench/inspect_votes.py --results bench/results

Word problems by a double that is wrong in one sample of five.  Needs inspect_ai: `make inspect-votes`.  Exits 1 if elected answers are right less
often than single ones, or if the logs have other tokens than were drawn.
"""

import tempfile
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, NamedTuple

from inspect_ai import Epochs, Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import Model, ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import pattern
from pages import options, origin, table, write
from proxy_problems import problem, right, sums

from surefoot.models.base import Ask, Message
from surefoot.models.doubles import Double
from surefoot.models.gather import in_order

PAGE = "inspect.md"
ERROR = 0.2
EPOCHS = 5
VOTES = (1, 2, 3, 4)
LIMIT = 60
ERRS: dict[str, dict[str, Any]] = {
    "All problems are equally hard, wrong answers differ": {},
    "All problems are equally hard, wrong answers are the same": {"alike": True},
    "A tenth of the problems is hard: half of their samples are wrong, and the same": {
        "error": (ERROR - 0.1 * 0.5) / 0.9,
        "hard": 0.1,
        "hard_error": 0.5,
        "alike": True,
    },
}


class Way(NamedTuple):
    """One way to answer, measured."""

    cells: tuple[str, ...]
    right: float
    counted: bool
    """Whether the log has the tokens that were drawn, each of them once."""


def model_of(double: Double, drawn: list[int]) -> Model:
    """Return a model of inspect_ai that answers as the double does; `drawn` gets the tokens of each sample."""
    seeds = count()

    async def answers(messages: Any, *_: object) -> ModelOutput:
        prompt = (Message("user", messages[-1].text),)
        (sample,) = await in_order(double, [Ask(prompt, 0.7, 100, next(seeds))])
        output = ModelOutput.from_content("mockllm/model", sample.text)
        said = ModelUsage(
            input_tokens=sample.usage.prompt,
            output_tokens=sample.usage.completion,
            total_tokens=sample.usage.total,
        )
        drawn.append(said.total_tokens)
        output.usage = said
        return output

    made: Callable[..., Awaitable[ModelOutput]] = answers
    return get_model("mockllm/model", custom_outputs=made)


def measure(name: str, problems: int, errs: dict[str, Any], votes: int, epochs: int, folder: str) -> Way:
    """Run one eval."""
    drawn: list[int] = []
    model = model_of(sums(**{"error": ERROR, **errs}), drawn)
    if votes > 1:
        model = get_model(
            "surefoot/mockllm/model", memoize=False, inner=model, votes=votes, limit=LIMIT, on_stall="miss"
        )
    dataset = [Sample(problem(number), target=str(right(number))) for number in range(problems)]
    task = Task(
        dataset=dataset, scorer=pattern(r"#### (-?\d+)"), epochs=Epochs(epochs, "mode"), name="word_problems"
    )
    (log,) = eval(task, model=model, log_dir=folder, display="none", max_samples=1, log_samples=True)
    assert log.results is not None and log.samples is not None, log.error
    accuracy = float(log.results.scores[0].metrics["accuracy"].value)
    stalled = sum("stalled" in (each.output.metadata or {}).get("surefoot", {}) for each in log.samples)
    logged = sum(usage.total_tokens for usage in log.stats.model_usage.values())
    cells = (
        name,
        f"{accuracy:.1%}".replace("%", " %"),
        str(stalled) if votes > 1 else "-",
        f"{len(drawn) / problems:.1f}",
        f"{sum(drawn) / problems:.0f}",
    )
    return Way(cells, accuracy, logged == sum(drawn))


def main() -> None:
    parser = options(__doc__, PAGE)
    parser.add_argument("--problems", type=int, default=500)
    given = parser.parse_args()
    parts = [
        "# Elected answers in inspect_ai",
        origin("inspect_votes", given.results),
        f"{given.problems:,} word problems in the style of GSM8K as a task of inspect_ai, by a double that is wrong in {ERROR * 100:.0f} % of its samples, behind its\n"
        "`mockllm`. Votes are those of `surefoot/mockllm/model`; a stall is a miss. `mode` is inspect_ai's own: the score that most epochs have.",
    ]
    fine = True
    with tempfile.TemporaryDirectory() as folder:
        for errs, arguments in ERRS.items():
            ways = [
                measure(
                    "one sample" if votes == 1 else f"`votes={votes}`",
                    given.problems,
                    arguments,
                    votes,
                    1,
                    folder,
                )
                for votes in VOTES
            ]
            ways.insert(1, measure(f"{EPOCHS} epochs, `mode`", given.problems, arguments, 1, EPOCHS, folder))
            fine &= all(way.counted for way in ways) and ways[-1].right >= ways[0].right
            parts += [
                f"## {errs}",
                table(
                    ("way", "right", "stalled", "samples a problem", "tokens a problem"),
                    [way.cells for way in ways],
                ),
            ]
    page = "\n\n".join(parts) + "\n"
    print(page)
    write(given.results, PAGE, page)
    if not fine:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
