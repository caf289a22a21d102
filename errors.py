"""The one tree of errors: each message says what happened and what to do next.

    class                          room                       raised when

    SurefootError                  errors                     never by itself: every error of the package is one
        BadInput                   errors                     a value from outside cannot be used
            IllegalMove            tools.towers               a move breaks a rule of the game
            NoMove                 tools.puzzles              a move breaks a rule of the puzzle, or the procedure knows none
            NoSuchJob              orchestration.journal      no job of this id is in this Redis
            LossySpeculation       models.vllm                speculation changes what a server samples
        ToolFailed                 tools                      a call came to nothing; the model is told why
        ModelUnavailable           models                     the model cannot be reached, or stays away for too long
            RequestRefused         models.openai              the server says no, and would say it again
                AnswerFromCache    models.openai              a cache answered where samples were asked for
                ServerLacks        models.openai              the server cannot do what the client relies on
                UnreadableResponse models.openai              no text can be made of what the server sends
            StreamInterrupted      models.openai              a stream broke off after the model had begun
        NoEmbeddedModel            models.embedded            the server of an embedded model does not start
        NoLocalModel               models.local               a model in a folder cannot be loaded into this process
        NoVLLM                     models.vllm                no vLLM here can do what was asked
        ServerFailed               models.vllm                a local vLLM does not come up, or ends by itself
        NotAnAnswer                voting                     a text is not an answer in the task's form
        Stalled                    voting                     an election ends undecided
            AnswerStalled          models.elected_answers     the same, of one answer to a request
            StepStalled            orchestration.engine       the same, of a step of a job
        Uncalibrated               voting                     the samples say nothing about the error rate
        Unreachable                voting                     no number of votes reaches the reliability
        Unsupported                orchestration              the calibration does not support the reliability
        NoCases                    agents.tasks               a task has no states to calibrate on
        TaskFailed                 agents.tasks               a task's method raised, or returned what it must not
            NotPlain               agents.tasks               a task's value would not survive the journal; a BadInput, too
        DecisionNeeded             agents.tasks               a person has to decide before a job can go on
        ControlFailed              agents.reasoning           a method of a control raised
        NoCueTokens                agents.reasoning           the tokenizer has no token for any cue word
        TooFewUnsafeExits          agents.reasoning           an exit rule has too few unsafe exits for its delta
        NothingScored              agents.monitor             no run got a score
        PatchRefused               agents.swe                 a patch does not apply, or reaches where it must not
        PatchFails                 agents.swe.decomposed      a candidate's patch does not apply
        WorkspaceLost              agents.swe.decomposed      a workspace cannot be put back to its base
        SetUpFailed                agents.swe                 an instance's repository or environment cannot be prepared
        NotRebuilt              agents.swe                 a workspace cannot be made again as it was
        AuditFailed                orchestration              a segment fails the task's own check at every k
        OverBudget                 orchestration              the calibration alone would exceed the budget
        Paused                     orchestration              the budget is spent; resuming goes on
        JobDone                    orchestration.journal      the job is finished already
        JobHeld                    orchestration.journal      another runner holds the job
        CorruptJournal             orchestration.journal      a record is not what was written, or not in its place
        NewerJournal               orchestration.journal      a newer surefoot wrote the journal
        WriteRefused               orchestration.journal      the journal takes no more from this runner:
            Cancelled              orchestration.journal      the job was cancelled
            Fenced                 orchestration.journal      another runner took the job over
            WentBack               orchestration.journal      Redis lost acknowledged steps in a crash
        NoLocalRedis               orchestration.redis        the embedded Redis does not start
        RedisUnavailable           orchestration.redis        Redis cannot be reached, or refuses to work
        NoRay                      orchestration.workers      Ray is not installed
        ClusterLost                orchestration.workers      a Ray cluster ended under the work; the same again goes on
        AsyncOnly                  orchestration.checkpoints  a synchronous method of the saver was called
        DamagedCheckpoint          orchestration.checkpoints  a checkpoint is not of the form that was written
        LostValue                  orchestration.checkpoints  a checkpoint refers to a value that is gone
        NoConnection               orchestration.checkpoints  the pool had no free connection for a long time
        Unstorable                 orchestration.checkpoints  a graph's state holds a value that cannot be stored
        UntrustedValue             orchestration.checkpoints  a stored value's type is not one that the saver reads

Names are unique among all exceptions of the package, those that never leave a room included.
"""

from typing import Any


class SurefootError(Exception):
    """Base of everything that surefoot raises on purpose; `str(error)` is one sentence for a person."""

    exit_code = 1
    job = ""
    """The job that it has ended, if any; `str(error)` names it, and resuming that job goes on."""

    @property
    def sentence(self) -> str:
        """What happened, without the job's name."""
        return super().__str__()

    def __str__(self) -> str:
        sentence = self.sentence
        return sentence if not self.job or self.job in sentence else f"{sentence} (job {self.job!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it be copied, and sent to another process, whatever its class wants to be made from."""
        return _again, (type(self), self.args), self.__dict__ or None


class BadInput(SurefootError, ValueError):
    """A value from outside that cannot be used; the message quotes it."""

    exit_code = 2


def _again(kind: type[SurefootError], args: tuple[Any, ...]) -> SurefootError:
    """Make an error once more, without the making: an exception by itself is called with its `args`, which often are a sentence only."""
    return kind.__new__(kind, *args)
