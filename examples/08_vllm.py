"""A vLLM of your own, for as long as a job needs it: started, waited for, asked, ended.

SUREFOOT_VLLM_PYTHON=.venv-vllm/bin/python python examples/08_vllm.py [MODEL]

MODEL is what vLLM serves: a Hugging Face id or a folder; without it pebble, which two CPU cores serve.  Where there is no vLLM the
example says what it needs and does nothing else; `make test-vllm` runs it on a real one.
"""

import asyncio
import sys

import surefoot
from surefoot.models.vllm import NoVLLM, Serving, serving


async def main() -> None:
    model = sys.argv[1] if len(sys.argv) > 1 else "pebble"
    task = surefoot.Towers(disks=5, style="compact" if model == "pebble" else "verbose")
    try:
        async with serving(model, Serving(start_s=600), say=print) as url:
            report = await surefoot.run(task, surefoot.Settings(k=3), model=url)
            print(
                f"solved: {report.solved}, {report.steps} steps, {report.votes} votes in {report.wall_s:.1f} s"
            )
    except NoVLLM as missing:
        print(missing)


if __name__ == "__main__":
    asyncio.run(main())
