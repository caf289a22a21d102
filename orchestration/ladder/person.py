"""The last rung: what a person has answered to the question which candidate is right."""

from surefoot.orchestration.journal.jobs import Keys
from surefoot.orchestration.journal.journal import Journal
from surefoot.orchestration.journal.records import frozen
from surefoot.orchestration.journal.snapshots import reading, text
from surefoot.orchestration.record import Record, RungTally
from surefoot.orchestration.report import Question
from surefoot.orchestration.rungs import PERSON


async def answered(journal: Journal) -> Record | None:
    """Return the next step as a person has decided it; None if nobody has.

    The answer stays in the journal until the step is durable, so that after a crash it holds once more; the question is bound to the step
    and to the chain's head, so that it holds for no other.
    """
    with reading(f"job {journal.job.id!r}: the answer to its question"):
        raw, decided, word = await journal.redis.hmget(
            Keys(journal.job.id).meta, ["question", "decided", "word"]
        )
        if (
            raw is None
            or decided is None
            or word is None
            or text(decided) != f"{journal.step} {journal.head}"
        ):
            return None
        asked = Question.model_validate_json(raw)
        listed = (asked.model_extra or {}).get("candidates", ())
        if asked.step != journal.step or not listed:
            return None  # an act asks
        candidates = [(frozen(answer), votes) for answer, votes in listed]
        answer, votes = candidates.pop(asked.choices.index(text(word)))
    others = tuple(each for each in candidates if each[1])
    return Record(journal.step, answer, votes, others, rungs=(RungTally(PERSON, 0, ()),))
