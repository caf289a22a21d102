"""Which failures are waited for and which are not, and what is never said of them."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from urllib.parse import quote

import pytest
from aiohttp import web

from surefoot.errors import BadInput
from surefoot.models.base import Ask, ModelUnavailable
from surefoot.models.connect import open_model
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.failures import Lasts, RequestRefused, lasts
from surefoot.models.openai.options import Options, Wait
from surefoot.models.openai.redaction import LONGEST, Redactor, redacted_url

KEY = "sk-very/secret+0123456789=="


class Answering:
    """A server with one model that answers every request for samples alike once it has been found ready."""

    def __init__(self) -> None:
        self.url = ""
        self.asked = 0
        self.answer: web.Response | None = None

    async def completions(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.answer is None:
            body = await request.json()
            prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
            texts = [prompt + "a" for prompt in prompts for _ in range(body.get("n", 1))]
            choices = [{"index": i, "text": text, "finish_reason": "stop"} for i, text in enumerate(texts)]
            return web.json_response({"choices": choices, "usage": {"completion_tokens": 1}})
        told = self.answer
        return web.Response(body=told.body, status=told.status, headers=told.headers)


@asynccontextmanager
async def answering() -> AsyncIterator[Answering]:
    server = Answering()

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m"}]})

    app = web.Application()
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/completions", server.completions)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield server
    await runner.cleanup()


async def outcome(answer: web.Response, options: Options) -> tuple[ModelUnavailable, int]:
    """What a sample ends with where the server answers so, and how often it was asked."""
    options = replace(options, api_key=KEY)
    async with answering() as server, OpenAIModel(server.url, options=options) as model:
        await model.ready()
        before, server.answer = server.asked, answer
        with pytest.raises(ModelUnavailable) as caught:
            async with aclosing(model.sample([Ask("x", 0.5, 5, 0)])) as samples:
                async for _ in samples:
                    pass
        return caught.value, server.asked - before


def says(status: int, **error: object) -> web.Response:
    return web.json_response({"error": error}, status=status)


@pytest.mark.parametrize(
    ("answer", "most_asked", "words"),
    [
        pytest.param(
            says(429, message="You exceeded your current quota", type="insufficient_quota"),
            1,
            "exceeded your current quota",
            id="E1 insufficient_quota",
        ),
        pytest.param(
            says(429, message="Budget has been exceeded! Current cost: 5.1", type="budget_exceeded"),
            1,
            "Budget has been exceeded",
            id="E1 budget_exceeded",
        ),
        pytest.param(
            says(500, message="Context size has been exceeded.", type="server_error", code=500),
            2,
            "Context size has been exceeded",
            id="E2",
        ),
        pytest.param(says(402, message="Insufficient Balance"), 1, "Insufficient Balance", id="402"),
        pytest.param(says(413, message="request_too_large"), 1, "request_too_large", id="413"),
        pytest.param(says(501, message="no n here"), 1, "no n here", id="501"),
        pytest.param(
            says(429, message="Request too large for gpt-4o: Limit 30000, Requested 41000", type="tokens"),
            1,
            "Request too large",
            id="429 that no waiting helps",
        ),
        pytest.param(
            says(500, message="litellm.ContentPolicyViolationError: content_policy_violation"),
            2,
            "content_policy",
            id="content policy as 500",
        ),
        pytest.param(
            says(503, message="The model `m` does not exist", code="model_not_found"),
            2,
            "does not exist",
            id="unknown model as 503",
        ),
    ],
)
async def test_what_stays_is_not_waited_for(answer: web.Response, most_asked: int, words: str) -> None:
    error, asked = await outcome(answer, Options(patience_s=600))
    assert isinstance(error, RequestRefused)
    assert words in str(error)
    assert asked <= most_asked


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (says(429, message="Rate limit reached. Please try again in 60ms.", type="requests"), "Rate limit"),
        (says(429, message="Too many tokens, please wait before trying again."), "Too many tokens"),
        (says(500, message="CUDA out of memory"), "CUDA"),
        (says(529, message="Overloaded", type="overloaded_error"), "Overloaded"),
        (says(503, message="Loading model", type="unavailable_error"), "Loading model"),
        (says(425, message="too early"), "too early"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
async def test_what_passes_is_waited_for_to_the_end_of_patience(answer: web.Response, words: str) -> None:
    error, asked = await outcome(answer, Options(patience_s=0.4))
    assert not isinstance(error, RequestRefused)
    assert words in str(error)
    assert asked > 1


@pytest.mark.parametrize(
    ("status", "kind", "words", "expected"),
    [
        (None, "", "no credit", Lasts.STAYS),
        (None, "", "upstream failed", Lasts.PASSES),
        (502, "", "upstream failed", Lasts.PASSES),
        (None, "insufficient_quota", "please try again in 3 s", Lasts.STAYS),
        (429, "", "You exceeded your current quota. Please retry in 34 s.", Lasts.PASSES),
        (429, "", "insufficient credits: try again in 2 hours", Lasts.PASSES),
        (429, "rate_limit_exceeded", "tokens per minute", Lasts.PASSES),
        (400, "", "anything", Lasts.STAYS),
        (409, "", "conflict", Lasts.PASSES),
        (500, "", "prompt is too long: 9000 tokens", Lasts.ONCE_MORE),
        (None, "context_length_exceeded", "", Lasts.STAYS),
        (500, "", "Incorrect API key provided", Lasts.ONCE_MORE),
        (None, "authentication_error", "", Lasts.STAYS),
        (500, "", "", Lasts.PASSES),
    ],
)
def test_how_long_a_failure_stays(status: int | None, kind: str, words: str, expected: Lasts) -> None:
    assert lasts(status, kind, words) is expected


# --- the key ---

FORMS = {
    "as it is": KEY,
    "in a URL": quote(KEY, safe=""),
    "in a URL, in small letters": quote(KEY, safe="").replace("%2F", "%2f"),
    "twice in a URL": quote(quote(KEY, safe=""), safe=""),
    "in JSON": json.dumps(KEY),
    "in base64": base64.b64encode(KEY.encode()).decode(),
    "as a password of Basic": base64.b64encode(f"user:{KEY}".encode()).decode(),
    "as a user of Basic": base64.b64encode(f"{KEY}:".encode()).decode(),
    "in hexadecimal": KEY.encode().hex(),
    "cut off": KEY[:14],
}
SECRETS = [KEY, *FORMS.values(), KEY[:9], base64.b64encode(KEY.encode()).decode()[4:20]]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and everything that goes along with it."""
    if error is not None:
        yield error
        yield from chain(error.__cause__)
        yield from chain(error.__context__)


def assert_clean(*texts: str) -> None:
    for text in texts:
        assert not [secret for secret in SECRETS if secret.lower() in text.lower()], text
        assert text.isprintable(), text


def quoting(where: str, secret: str) -> web.Response:
    told = f"died on \x1b]8;;{secret}\x07 {secret}. " + "x" * 2000
    event = json.dumps({"error": {"message": told, "code": 500}})
    elsewhere = f"https://elsewhere/?key={quote(secret)}&x={quote(secret)}"
    return {
        "status 500": says(500, message=told),
        "status 401": says(401, message=told),
        "a redirect": web.Response(status=307, headers={"Location": elsewhere}),
        "an error in a stream": web.Response(text=f"data: {event}\n\n"),
        "a body that is no answer": web.Response(text=told),
    }[where]


@pytest.mark.parametrize(
    "where", ["status 500", "status 401", "a redirect", "an error in a stream", "a body that is no answer"]
)
async def test_a_server_that_quotes_the_key_is_not_repeated(where: str) -> None:
    """Z4, and its control characters (Z5)."""
    waits: list[Wait] = []
    options = Options(api_key=KEY, patience_s=0.01, on_wait=waits.append)
    streamed = replace(options, stream=where == "an error in a stream")
    async with answering() as server, OpenAIModel(server.url, options=options) as whole:
        await whole.ready()
        for secret in FORMS.values():
            server.answer = quoting(where, secret)
            async with OpenAIModel(server.url, options=streamed) as model:
                with pytest.raises(ModelUnavailable) as caught:
                    await model.ready(patience_s=0.01)
                with pytest.raises(ModelUnavailable) as later:
                    await anext(whole.sample([Ask("x", 0.5, 5, 0)]))
            for error in (*chain(caught.value), *chain(later.value)):
                assert_clean(str(error), repr(error))
    assert_clean(*map(repr, waits))
    assert all(len(wait.error) < LONGEST + 100 for wait in waits)


async def test_a_key_in_the_query_of_the_address_is_sent_and_never_shown() -> None:
    async with answering() as server:
        query = quote(KEY, safe="")
        async with OpenAIModel(f"{server.url}?api-version=2024-10-21&api_key={query}") as model:
            await model.ready()
            server.answer = says(400, message=f"bad {KEY} for 2024-10-21")
            with pytest.raises(RequestRefused, match=r"bad \*\*\* for 2024-10-21") as caught:
                await anext(model.sample([Ask("x", 0.5, 5, 0)]))
            assert_clean(str(caught.value), repr(model), model.name)


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://gpu/v1?key={KEY}",
        f"htp://user:{KEY}@gpu:8000/v1",
        f"http://user:{KEY}@gpu:port/v1",
        f"http:///v1?api_key={KEY}&x=1",
    ],
)
async def test_an_address_that_is_refused_is_quoted_without_its_secrets(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        OpenAIModel(url)
    with pytest.raises(BadInput) as typed:
        async with open_model(url):
            pass
    for error in (*chain(caught.value), *chain(typed.value)):
        assert KEY[:9] not in str(error)


def test_words_of_any_length_are_cleaned_in_linear_time_and_cut() -> None:
    words = Redactor([KEY])
    assert words("x" * 5_000_000).endswith("...")
    assert len(words(KEY * 100_000)) <= LONGEST
    assert words("a\nb\t c") == "a b c"
    assert Redactor([])("plain") == "plain"
    assert Redactor(["x", ""])("text") == "text"


def test_an_address_keeps_what_is_no_secret() -> None:
    assert redacted_url("http://gpu:8000/v1?v=1#m") == "http://gpu:8000/v1?v=***#m"
    assert redacted_url("http://a:b@gpu/v1") == "http://***@gpu/v1"
    assert redacted_url("nonsense") == "nonsense"
