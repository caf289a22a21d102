"""The answer of a person to what a job asks."""

from shlex import quote

from redis.asyncio import Redis

from surefoot.errors import BadInput
from surefoot.printable import encodable

from .journal import scripts
from .journal.jobs import Keys, load
from .journal.records import CorruptJournal
from .journal.snapshots import text
from .redis.open import open_redis
from .report import Question
from .reporting import question_of

LONGEST = 10_000
"""Characters of an answer."""


async def decide(job: str, answer: str, *, question: str, redis: str | Redis | None = None) -> Question:
    """Answer what a job asks, and return the question; resuming the job then goes on with the answer.

    `question`: the id of the question that is meant, `report.question["id"]`.  Delivered twice, or late, an answer never answers another.
    The answer is bound to the question that was read: if the job has gone on to another one meanwhile, `BadInput` says so.  A second,
    different answer to one question is refused; so is one that is none of the choices.  An answer holds for one attempt.
    """
    if not answer or len(answer) > LONGEST or not encodable(answer):
        raise BadInput(f"an answer is a text of 1 to {LONGEST:,} characters, not {answer[:100]!r}")
    async with open_redis(redis) as store:
        found = await load(store, job)
        asked = await question_of(store, found)
        if asked is None:
            raise BadInput(f"job {job!r} asks nothing: it is {found.status}")
        if question != asked.id:
            raise BadInput(f"job {job!r} asks question {asked.id}, not {question!r}: {asked.question}")
        if asked.choices and answer not in asked.choices:
            raise BadInput(
                f"job {job!r} asks: {asked.question}; answer {' or '.join(map(repr, asked.choices))}, not {answer!r}"
            )
        here = f"{found.step} {found.head}"
        said, *what = await scripts.DECIDE.run(store.execute_command, [Keys(job).meta], [here, answer])
    if said == b"decided":
        raise BadInput(
            f"job {job!r} was told {text(what[0])!r} already; `surefoot resume {quote(job)}` goes on with it"
        )
    if said in (b"missing", b"moved"):
        raise BadInput(f"job {job!r} went on meanwhile: `surefoot show {quote(job)}` says where it is")
    if said != b"ok":
        raise CorruptJournal(f"job {job!r}: {text(what[0])} is not what was written")
    return asked
