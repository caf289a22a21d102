"""A rollout in a process of its own, which goes on while this one is busy with samples.

A rollout is a chain of short waits.  In the process that also reads every sample each of them ends late, and the
draft, which should be the fastest of all, is as slow as the rest.  Here only its states come over.
"""

import asyncio
import multiprocessing
import pickle
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, NamedTuple, Self

from surefoot.agents.tasks.task import S, Task
from surefoot.errors import SurefootError
from surefoot.models.base import Model, ModelUnavailable
from surefoot.models.keys import forget_keys
from surefoot.printable import printable
from surefoot.voting.samples import Usage

from .drafts import Draft, Rollout

CREDITS = 64
"""States that the process may be ahead of what has been read."""
END_S = 5.0
"""Longest wait for the process to end by itself."""

OpenModel = Callable[[], AbstractAsyncContextManager[Model]]


class _Start(NamedTuple):
    """An order to the process: begin a rollout here, and leave the one before."""

    number: int
    state: bytes
    """Pickled: what cannot be read there still has its number."""


class _Credit(NamedTuple):
    """An order to the process: half of the credits are free again."""

    number: int


class _Reply(NamedTuple):
    """What the process says: the next state, or how the rollout has ended.  Rollout 0 is that it is ready."""

    number: int
    state: bytes = b""
    """Pickled, as that of a `_Start`."""
    ended: bool = False
    words: str = ""
    """Why it has failed, if it has."""
    failure: bytes = b""
    """The same as a pickled error, if that can be."""
    spent: Usage | None = None
    """What the rollout there has spent up to now, in all its rollouts; None if it has not begun."""


_Orders = asyncio.Queue[_Start | _Credit | None]
"""What the process is told, in order; None: the parent has closed the pipe."""


class RolloutProcess(Draft[S]):
    """A `Rollout` in a process of its own, for as long as the `async with` block lasts.

        async with RolloutProcess(task.short(), partial(open_model, "http://small:8000/v1"), votes=3) as draft:
            report = await surefoot.run(task, model=..., speculate=surefoot.Speculation(draft))

    `opened` is called there and opens the model; there are no API keys in the environment, so it brings one along if the model
    needs one (`Options(api_key=...)`).  It and the task travel by pickle, and a script that does this keeps what it does
    at its end under `if __name__ == "__main__"`, as with `multiprocessing` in general.  Raises what the model raises, and
    `ModelUnavailable` if the process dies.

    `spent` is as the process last told it, with a state or the end of a rollout; what a rollout that was left goes on to spend
    comes with the next rollout, or not at all.
    """

    def __init__(self, task: Task[S, Any], opened: OpenModel, votes: int = 1) -> None:
        self.name = f"rollout of {task.name} in a process of its own"
        spawn = multiprocessing.get_context("spawn")
        self._pipe, self._theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(self._theirs, task, opened, votes), daemon=True)
        self._number = 0
        self._replies: asyncio.Queue[_Reply] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        starting = asyncio.create_task(asyncio.to_thread(self._process.start))
        try:
            await asyncio.shield(starting)
            self._theirs.close()
            asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._listen)
            ready = await self._replies.get()
            if ready.ended:
                raise _error_of(ready)
        except BaseException:
            try:
                # A thread cannot be cancelled: what it starts has to be there before it can be ended.
                await asyncio.wait([starting])
            finally:
                await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def propose(self, path: Sequence[S]) -> AsyncGenerator[S, None]:
        """Advance by the answers of the model there; raises what it raises."""
        self._number += 1
        # A queue of its own, so that nothing said in an earlier rollout is taken for a state of this one.
        number, said, read = self._number, asyncio.Queue[_Reply](), 0
        self._replies = said
        self._send(_Start(number, pickle.dumps(path[-1])))
        while not (news := await said.get()).ended:
            try:
                state = pickle.loads(news.state)
            except Exception as error:
                # Of a class, say, that is not to be had here: without it the rollout leads nowhere.
                raise _error_of(_failure(number, error)) from error
            yield state
            read += 1
            # By half of them at a time: one message for 32 states, and the process need not wait for it.
            if read % (CREDITS // 2) == 0:
                self._send(_Credit(number))
        if news.words:
            raise _error_of(news)

    def _send(self, order: _Start | _Credit) -> None:
        try:
            self._pipe.send(order)
        except OSError:
            self._report_death()

    def _listen(self) -> None:
        """Take in what the process says; what belongs to an earlier rollout is late, but was paid for."""
        try:
            # The loop calls this once for whatever has come in, which may be many replies.
            while self._pipe.poll():
                said: _Reply = self._pipe.recv()
                if said.spent is not None:
                    self.spent = said.spent
                if said.number == self._number:
                    self._replies.put_nowait(said)
        except (EOFError, OSError):
            self._hang_up()
            self._report_death()

    def _report_death(self) -> None:
        words = f"the process of the draft ({self.name}) has ended: start again"
        self._replies.put_nowait(_Reply(self._number, ended=True, words=words))

    def _hang_up(self) -> None:
        """Listen no longer; the process hears of it, and ends."""
        # It may be closed already: the process has died, and now the block ends.
        if not self._pipe.closed:
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self._pipe.close()

    async def _close(self) -> None:
        self._hang_up()
        self._theirs.close()
        if self._process.pid is None:
            return  # it could not even be started
        await asyncio.to_thread(self._process.join, END_S)
        if self._process.is_alive():
            self._process.kill()
            await asyncio.to_thread(self._process.join)


def _serve(pipe: Connection, task: Task[Any, Any], opened: OpenModel, votes: int) -> None:
    """Be the process: obey until the pipe ends, which it does with the parent."""
    forget_keys()  # they are the main model's
    # Ctrl-C in a terminal goes to every process of a group; it is the parent that decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(BrokenPipeError, ConnectionResetError):
        asyncio.run(_run(pipe, task, opened, votes))


async def _run(pipe: Connection, task: Task[Any, Any], opened: OpenModel, votes: int) -> None:
    orders = _Orders()
    # In a thread, so that orders are read while a long state is sent: else both sides may wait for the other one to read.
    hears = threading.Thread(target=_hear, args=(pipe, asyncio.get_running_loop(), orders), daemon=True)
    hears.start()
    try:
        async with opened() as model:
            pipe.send(_Reply(0))
            await _obey(pipe, Rollout(task, model, votes), orders)
    except Exception as failure:
        pipe.send(_failure(0, failure))


def _hear(pipe: Connection, loop: asyncio.AbstractEventLoop, orders: _Orders) -> None:
    """Pass every order on, until the parent closes the pipe."""
    with suppress(RuntimeError):  # the loop has ended
        try:
            while True:
                loop.call_soon_threadsafe(orders.put_nowait, pipe.recv())
        except (EOFError, OSError):
            loop.call_soon_threadsafe(orders.put_nowait, None)


async def _obey(pipe: Connection, draft: Rollout[Any], orders: _Orders) -> None:
    """Roll as ordered, the latest order alone, until there are no more orders."""
    number, credit = 0, asyncio.Semaphore(CREDITS)
    rolling: asyncio.Task[None] | None = None
    while True:
        order = await orders.get()
        if isinstance(order, _Credit):
            # Credit for a rollout that was left is none for the one that is on now.
            for _ in range(CREDITS // 2 if order.number == number else 0):
                credit.release()
            continue
        if rolling is not None:
            rolling.cancel()
        if order is None:
            return
        number, credit = order.number, asyncio.Semaphore(CREDITS)
        rolling = asyncio.create_task(_follow(pipe, draft, order, credit))


async def _follow(pipe: Connection, draft: Rollout[Any], order: _Start, credit: asyncio.Semaphore) -> None:
    """Say every state of one rollout as there is room for it, and how it ended."""
    end = _Reply(order.number, ended=True)
    try:
        async with aclosing(draft.propose([pickle.loads(order.state)])) as states:
            async for state in states:
                pipe.send(_Reply(order.number, pickle.dumps(state), spent=draft.spent))
                await credit.acquire()
    except (Exception, asyncio.CancelledError) as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise  # another order has come; else it is the model that was cancelled
        end = _failure(order.number, error)
    pipe.send(end._replace(spent=draft.spent))


def _failure(number: int, error: BaseException) -> _Reply:
    """Return the reply that a rollout has ended by an error: the error, and words in case it cannot be made again there."""
    # It may be an error of the user's own, whose `repr` raises, or which cannot be pickled.
    try:
        words = printable(f"{error!r:.500}")
    except Exception:
        words = type(error).__name__
    words = f"the draft's model failed in its process ({words}): choose another draft"
    try:
        failure = pickle.dumps(error)
    except Exception:
        failure = b""
    return _Reply(number, ended=True, words=words, failure=failure)


def _error_of(said: _Reply) -> SurefootError:
    """Return the error that a rollout ended by: what the model raised if it is one of ours, and else its words."""
    with suppress(Exception):
        error = pickle.loads(said.failure)
        if isinstance(error, SurefootError):
            return error
    return ModelUnavailable(said.words)
