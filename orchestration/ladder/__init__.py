"""The ladder: what a step climbs that its own election leaves undecided, rung by rung, until one decides.

    Stride --StepStalled--> Climber --rung by rung--> a winner | back to an earlier step | a person | a stall

    elections    `votes`, `views` and other models: elections of their own, by the rules in `rung_rules`
    lookahead    which candidate's next steps stay valid under the task's own check
    backtrack    the contested steps before it, in its segment, decided again
    person       what a person has answered

How a ladder is configured is in `rungs`, the seam towards the engine in `engine.climbing`.  Each rung has seeds of its own, which
follow from the job's, the step and the rung, so that a climb that a crash has cut off is climbed again alike.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
