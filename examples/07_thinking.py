"""Controls of thinking, one after the other, on a model that overthinks: right answers and tokens.

python examples/07_thinking.py

ponder is a micro reasoning model that comes with the package; its problems are chains like 7*3+8-5+6*9-2 mod 10.  A `Reasoner` is a
model like any other, so that it could vote or run a job as well.
"""

import asyncio
import random

import surefoot
from surefoot.agents.reasoning import Control, Cues, Dynasor, Elastic, Exit, NoThinking, Probing, Reasoner
from surefoot.models import in_order
from surefoot.models.embedded import EmbeddedServer, embedded_options
from surefoot.training.ponder.problems import answer_of, several

PROBLEMS = several("chain6", 40, random.Random(0))
CUES = Cues(reflection=("wait", "hmm"), transition=("alternatively",), separator="\n")
"""Where ponder begins a new thought.  The usual cues are those of larger models."""
CONTROLS: dict[str, tuple[Control, ...]] = {
    "left alone": (),
    "no thinking": (NoThinking(),),
    "a budget of 80 tokens": (Elastic(thinking=80, solution=8),),
    "until two forced answers agree": (Exit(Dynasor(2), Probing(inducer="", tokens=8)),),
}


async def main() -> None:
    with EmbeddedServer(name="ponder") as server:
        async with surefoot.OpenAIModel(server.url, options=embedded_options("ponder")) as model:
            for name, controls in CONTROLS.items():
                reasoner = Reasoner(model, *controls, answer_tokens=8, think_tokens=460, cues=CUES)
                asks = [surefoot.Ask(problem.prompt, 1.0, 8, seed) for seed, problem in enumerate(PROBLEMS)]
                samples = await in_order(reasoner, asks)
                pairs = zip(samples, PROBLEMS, strict=True)
                right = sum(answer_of(sample.text) == problem.answer for sample, problem in pairs)
                tokens = sum(sample.usage.completion for sample in samples) / len(samples)
                print(f"{name}: {right} of {len(PROBLEMS)} right, {tokens:.0f} tokens a problem")


if __name__ == "__main__":
    asyncio.run(main())
