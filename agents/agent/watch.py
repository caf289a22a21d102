"""The monitor in an agent's run: it reads every turn, and its policy's rungs act on the next one."""

import json
from dataclasses import dataclass

from surefoot.agents.monitor.policies import (
    AT_EASE,
    CutBudget,
    ForceToolCall,
    Intervention,
    Policy,
    RestartTurn,
    Stance,
    Stop,
)
from surefoot.agents.monitor.signals import Signals
from surefoot.agents.monitor.trajectory import Turn as TurnRead
from surefoot.agents.monitor.trajectory import action, turn

from .state import AgentTurn, Watched

END = "finish"
"""What an answer without a call is to the signals: the end, declared."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a turn came to."""

    watched: Watched
    act: Intervention | None

    @property
    def goes_on(self) -> bool:
        """Whether an answer without a call is not taken as the end."""
        return self.act is not None and not isinstance(self.act, Stop)


def look(policy: Policy, watched: Watched, latest: AgentTurn) -> Look:
    """Read the latest turn, all of its calls answered, and say what is to be done before the next."""
    signals, read = _signals(watched), as_read(latest)
    reading = signals.see(read)
    decision = policy.decide(reading, Stance.of(watched.stance) if watched.stance else AT_EASE)
    act = decision.act
    if not latest.calls and act is not None and not isinstance(act, Stop):
        # It was not the end after all, but a turn without action.
        signals = _signals(watched)
        signals.see(read._replace(actions=()))
    return Look(
        Watched(
            memory=json.dumps(signals.memory(), sort_keys=True),
            stance=tuple(float(number) for number in decision.stance),
            said="" if act is None else _said(decision.said, act),
            required=isinstance(act, ForceToolCall | RestartTurn),
            thinking=_share(watched.thinking, act) if decision.stance.rung else 1.0,
            level=decision.signal.level,
            pattern=decision.signal.pattern,
            act="" if act is None else type(act).__name__,
            interventions=watched.interventions + (act is not None),
        ),
        act,
    )


def _signals(watched: Watched) -> Signals:
    return Signals(json.loads(watched.memory) if watched.memory else None)


def _share(before: float, act: Intervention | None) -> float:
    return before * act.share if isinstance(act, CutBudget) else before


def _said(sentence: str, act: Intervention) -> str:
    if isinstance(act, CutBudget):
        return f"{sentence} Think in no more than {act.share:.0%} of the words that you have used so far."
    return sentence


def as_read(latest: AgentTurn) -> TurnRead:
    """Return a turn, all of its calls answered, as the signals read it."""
    actions = [action(call.name, call.arguments) for call in latest.calls] or [action(END)]
    observation = "\n".join(seen.told for seen in latest.seen) if latest.seen else None
    failed = any(seen.outcome == "failed" or seen.code not in (None, 0) for seen in latest.seen)
    return turn(latest.prose, actions, observation, failed if latest.seen else None)
