"""The events of a run as an asynchronous iterator, whose reader may be slow."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, ParamSpec

from surefoot.errors import BadInput

from .events import Event, Missed
from .report import Report
from .run import run

P = ParamSpec("P")

MOST_UNREAD = 2048
"""Events that are kept for a reader one by one: those of at least the two longest commits."""


class Unread:
    """Events on their way to one reader.

    `most` are kept as they are.  Of what comes while so many are unread only the latest of each kind is kept, which covers the
    earlier ones; a `Missed` before these says how many events are not told one by one.  So memory is bounded, counts are
    exact, and the last event always arrives.
    """

    def __init__(self, most: int = MOST_UNREAD) -> None:
        self._most = most
        self._events: deque[Event] = deque()
        self._latest: dict[type[Event], Event] = {}
        self._missed = 0
        self._something = asyncio.Event()
        self._closed = False

    def listen(self, event: Event) -> None:
        """Take an event."""
        if len(self._events) < self._most and not self._latest:
            self._events.append(event)
        else:
            earlier = self._latest.pop(type(event), None)
            if earlier is not None:
                self._missed += 1
                event = event.covering(earlier)
            self._latest[type(event)] = event
        self._something.set()

    def close(self) -> None:
        """Let the reader come to an end after what is unread."""
        self._closed = True
        self._something.set()

    def __aiter__(self) -> "Unread":
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._latest:
                self._events.extend([Missed(events=self._missed)] if self._missed else [])
                self._events.extend(self._latest.values())
                self._latest, self._missed = {}, 0
            elif self._closed:
                raise StopAsyncIteration
            else:
                self._something.clear()
                await self._something.wait()
        return self._events.popleft()


def streamed(run: Callable[P, Coroutine[Any, Any, Report]]) -> Callable[P, AsyncGenerator[Event, None]]:
    """Turn what takes a job to its end, and takes `on_event`, into an iterator over its events."""

    async def events(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Event, None]:
        """Do a job as `run` does, whose arguments it takes, and yield the events; the last one, `Ended`, has the report.

            async with aclosing(surefoot.events(task, model=...)) as events:
                async for event in events:
                    ...

        Raises what `run` raises, after the last event.  The run begins when the first event is asked for; closing the iterator
        cancels it, in order, so that the job can be resumed.  The run waits for no reader: see `Missed`.
        """
        if kwargs.get("on_event") is not None:
            raise BadInput("`events` listens itself: give `on_event` to `run`")
        unread = Unread()
        kwargs["on_event"] = unread.listen
        running = asyncio.create_task(run(*args, **kwargs))
        running.add_done_callback(lambda _: unread.close())
        try:
            async for event in unread:
                yield event
            running.result()
        finally:
            running.cancel()
            await asyncio.wait([running])

    events.__wrapped__ = run  # type: ignore[attr-defined]  # its arguments are shown by `help`
    return events


events = streamed(run)
"""Do a job as `run` does, and yield its events; `streamed` says how."""
