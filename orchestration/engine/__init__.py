"""How a run of steps is executed: voted on, chained, and speculated on as a processor does past a branch.

    Stride         decides a run of steps, and writes each to the journal before the next; without speculation it holds each
                   election itself, of one OpenStep after the other
      Pipeline     the steps in flight, each on the state that the one before is expected to lead to
        OpenStep   one step and its election; the states that it goes through are drawn in open_step
        Lookahead  the expected states beyond the open steps, and the draft that proposes more of them
        Calls      the calls of the model: what they still owe, and what to do when one fails
        Ledger     samples asked for, used and wasted; depth says how far ahead it pays to ask
      Climbs       what decides a step that its election leaves undecided: the ladder, see climbing
      Memo         what decides a step that asks just what an earlier one has asked; then nothing is asked ahead
      Draft        what proposes states: Rollout, AskAhead, Recall, Supplied, RolloutProcess; open_draft makes one of a name
      Speculation  how far ahead may be asked, and what that may waste
                   background keeps the failures of tasks, hypothetical those of states that may never come true

    Draft --> Lookahead --_open_next--> OpenStep <--> Calls <--> model
                  ^                        |  |
                  |                        |  +--_retire, the head alone--> Stride --> journal
                  |                        |  +--hand_over, a stalled head--> Stride --> Climbs
                  +--------_squash---------+
                   the true state (_verify) or the ballots of a step (_redirect) speak for another one

    A sample on its way: Calls._cast -> OpenStep.cast -> touched, and the scheduler is woken -> Pipeline._review
    -> _tell, if it is the head and over -> decide goes on -> _retire.

The pipeline changes when samples are drawn, and no decision.  That follows from the first four invariants, and from
Election, which counts in the order of submission.  Where an invariant is kept a comment begins with its name.

    SAME ASKS    What is asked for a step follows from its state, its number and the terms, whenever it is asked.
                 Kept by OpenStep._asks_for and seed_of, which read nothing else but for an ask's guess, and by
                 Pipeline._verify: other terms squash every step.
    TRUE STATE   A decision is handed out only if its step was opened on the state that the run has reached.
                 Kept by Pipeline._verify, before the head is read: the same in every part, not only equal.
    IN ORDER     Open steps are numbered without a gap; only the first of them, the head, is handed out.
                 Kept by Pipeline._open_next, which appends, _squash, which cuts the end off, _retire and
                 Pipeline.hand_over.
    NO BALLOT    A draft proposes states and casts no ballot, and each ask is answered once.
                 Kept by Calls._draw and Stride._hold: OpenStep.cast is given samples of the model that was asked only, the
                 job's own but for a climb, each at a place of the call that is owed one (claim); a call that ends before all came
                 has failed.
    ITS TURN     A failure on a state that is only expected ends the run only if the state comes true, in its turn.
                 Kept by hypothetically (what a task says of a state), OpenStep.fail and OpenStep.retire (its asks,
                 readings and stalls), Calls._split (the model) and Pipeline._draft_failed (a draft, which just ends
                 where it fails on a state that has not come true).  Whatever was cancelled, but not by us, has failed.
                 No step climbs before its stall is handed out: Stride.decide, which takes it off.
    BARRIER      Nothing is asked beyond a step that acts on the world before it has acted, nor beyond the end.
                 Kept by Pipeline._may_open, and by Stride.run: commit (`begin`), act, and only then the next step.
    ONE CALL     All samples of a step that are outstanding are in one call of the model.
                 Kept by Pipeline._open_next and _review, which ask for new and READY steps only, and Calls._split,
                 which divides none.
    BOUNDS       Before its turn a step is opened only within depth, capacity, max_waste and the room that the budget
                 has left, and asked for more only within the last three, at the head as well.  In its turn it is asked for
                 more only within the budget.
                 Kept by Pipeline._may_open and _review, by way of _within_limits, and by _asks.
    PROGRESS     No limit of speculation, no refusal and no slow draft keeps the step whose turn it is from being asked for.
                 Kept by Pipeline._may_open, _review and _open_ahead, and by Calls._split.
    WAKE-UP      The scheduler looks again after everything that may change what is to be asked.
                 Kept by Calls._draw, _cast and _ended, Lookahead (`changed`), Pipeline.decide, _retire, _squash and
                 Pipeline.hand_over.
    ACCOUNTS     Ledger.in_flight is what the calls still owe; Ledger.asked has a refused sample once, however
                 often it is asked for.
                 Kept by Pipeline._asks, which counts all that is sent, and Calls._draw, _split and _ended.

Tests: tests/orchestration, above all test_speculation, test_stride, test_drafts, test_bills and test_engine_invariants.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
