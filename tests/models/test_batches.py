"""Whatever is asked of whatever server: every ask is answered once, and no request exceeds its limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import BadInput
from surefoot.models.base import Ask, Message
from surefoot.models.openai.batches import Capabilities, Endpoint, batches, body
from surefoot.models.openai.options import Options

PROMPTS = st.sampled_from(["a", "b", "c", (Message("user", "a"),), (Message("user", "b"),)])
EXTRA = st.sampled_from([None, '{"top_p":0.5}'])
ASKS = st.lists(
    st.builds(
        Ask,
        PROMPTS,
        st.sampled_from([0.0, 0.1, 1.0]),
        st.sampled_from([5, 50]),
        st.integers(0, 9),
        extra=EXTRA,
    )
)
ENDPOINTS = st.builds(Endpoint, n=st.booleans(), lists=st.booleans())
SERVERS = st.builds(
    Capabilities,
    server=st.just("server"),
    models=st.just(("m",)),
    text=ENDPOINTS,
    chat=st.builds(Endpoint, n=st.booleans()),
    max_n=st.none() | st.integers(1, 5),
)
OPTIONS = st.builds(Options, seeded=st.booleans(), max_n=st.integers(1, 5), max_batch=st.integers(1, 9))


@given(ASKS, SERVERS, OPTIONS)
def test_every_ask_is_answered_once_as_it_was_asked(
    asks: list[Ask], can: Capabilities, options: Options
) -> None:
    found = batches(asks, can, options)
    assert sorted(position for batch in found for position in batch.positions) == list(range(len(asks)))
    for batch in found:
        assert len(batch.positions) == len(batch.prompts) * batch.n
        for place, position in enumerate(batch.positions):
            ask = asks[position]
            assert (batch.prompts[place // batch.n], batch.temperature, batch.max_tokens) == ask[:3]
            assert batch.seed == (ask.seed if options.seeded else None)
            assert batch.extra == ask.extra


@given(ASKS, SERVERS, OPTIONS)
def test_no_request_asks_for_what_the_server_does_not_do(
    asks: list[Ask], can: Capabilities, options: Options
) -> None:
    for batch in batches(asks, can, options):
        endpoint = can.endpoint(batch)
        assert batch.n <= min(options.max_n, options.max_batch, can.max_n or options.max_n)
        assert len(batch.positions) <= options.max_batch
        assert batch.n == 1 or (endpoint.n and batch.temperature > 0)
        assert len(batch.prompts) == 1 or (endpoint.lists and not batch.chat)
        assert batch.seed is None or len(batch.positions) == 1


@pytest.mark.parametrize("extra", ["", "5", "[]", "null", '{"top_p": 0.9', "top_p=0.9"])
def test_more_fields_that_are_no_json_object_are_refused_in_a_sentence(extra: str) -> None:
    can = Capabilities(server="server", models=("m",), text=Endpoint(), chat=Endpoint())
    (batch,) = batches([Ask("a", 0.5, 5, 1, extra=extra)], can, Options())
    with pytest.raises(BadInput, match="extra of an ask must be a JSON object"):
        body(batch, "m", Options())
