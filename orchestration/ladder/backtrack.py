"""The rung that goes back: from the last certain step on the steps are decided again."""

from surefoot.orchestration.journal.journal import Journal
from surefoot.orchestration.journal.segments import segment_records


async def uncertain_from(journal: Journal) -> int | None:
    """Return the first of the last contested steps in the segment that is not sealed; None if none is contested.

    The step before it is the last certain one: the steps after it, which may rest on a mistake, are decided again.
    """
    await journal.commit()
    records = await segment_records(
        journal.redis, journal.job._replace(sealed=journal.sealed), journal.sealed
    )
    found = None
    for record in reversed(records):
        if record.others or record.rungs:
            found = record.step
        elif found is not None:
            break
    return found
