"""The servers of bench/proxy.py, each a process of its own that prints its URL, and its CPU seconds for every line that it reads.

python bench/proxy_server.py proxy               the voting proxy around a double in its process
python bench/proxy_server.py proxy URL           the same in front of a model's server
python bench/proxy_server.py router URL          the same election over samples of litellm's Router, in a Starlette application
python bench/proxy_server.py model 0.05          a model's server that takes so many seconds for an answer
"""

import asyncio
import logging
import os
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

from proxy_problems import sums

from surefoot.models.base import Model
from surefoot.models.doubles import DoubleServer
from surefoot.models.elected_answers.ballots import said_in
from surefoot.models.openai import OpenAIModel
from surefoot.serving.proxy import ProxySettings, serve_proxy
from surefoot.tools.answers import normal
from surefoot.voting import Election, FirstToAheadBy

VOTES, LIMIT, SLOTS = 3, 60, 4096


def told(url: str) -> None:
    print(url, flush=True)


async def until_closed() -> None:
    """Answer each line with the CPU seconds so far, until standard input ends."""
    while await asyncio.to_thread(sys.stdin.readline):
        print(time.process_time(), flush=True)


async def proxy(url: str | None = None) -> None:
    """The proxy; it is told what the bench asks for, so that both election servers compare numbers."""
    async with AsyncExitStack() as opened:
        model: Model = sums(0.2)
        if url is not None:
            model = behind = await opened.enter_async_context(OpenAIModel(url))
            await behind.ready()
        stop = asyncio.Event()
        settings = ProxySettings(votes=VOTES, limit=LIMIT, equality="number", most_requests=4096)
        serving = asyncio.create_task(serve_proxy(model, settings, port=0, ready=told, stop=stop))
        await until_closed()
        stop.set()
        await serving


async def router(url: str) -> None:
    """What litellm's documentation proposes for a server of one's own: a Router over the deployments, asked from a web application."""
    os.environ |= {
        "LITELLM_LOG": "ERROR",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }  # or it would fetch a list of prices first
    import litellm
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    litellm.suppress_debug_info = True
    logging.disable(logging.WARNING)  # it warns of every wait for a connection
    model = {"model": "openai/double", "api_base": url, "api_key": "none"}
    deployments = litellm.Router(model_list=[{"model_name": "voted", "litellm_params": model}])

    async def answer(request: Request) -> JSONResponse:
        body = await request.json()
        election: Election[str] = Election(FirstToAheadBy(VOTES), LIMIT)
        drawn: dict[str, Any] = {}
        while wanted := election.wanted:
            numbers = election.submit(wanted)
            reply = await deployments.acompletion(
                model="voted", messages=body["messages"], n=wanted, temperature=0.7, max_tokens=4096
            )
            for number, choice in zip(numbers, reply.choices, strict=True):
                said = normal(said_in(choice.message.content), "number")
                drawn.setdefault(said, (reply, choice))
                election.cast(number, said)
        reply, choice = drawn[election.verdict().winner]
        return JSONResponse({**reply.model_dump(), "choices": [choice.model_dump()]})

    app = Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, http="httptools", ws="none", log_level="error", access_log=False)
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    told(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1")
    await until_closed()
    server.should_exit = True
    await serving


async def model(latency_s: float) -> None:
    """The server behind."""
    async with DoubleServer(sums(0.2, latency_s), slots=SLOTS) as server:
        told(server.url)
        await until_closed()


def main() -> None:
    """Serve what the command line says."""
    kind, *more = sys.argv[1:]
    match kind:
        case "proxy":
            asyncio.run(proxy(*more))
        case "router":
            asyncio.run(router(*more))
        case "model":
            asyncio.run(model(float(more[0])))


if __name__ == "__main__":
    main()
