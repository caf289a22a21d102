"""What `surefoot.agents.reasoning` offers."""

from .adapt import Adapt, Ramp, entropy_uncertainty, length_score, margin_uncertainty
from .budget import Elastic
from .control import Close, Control, Drop, Restart, StreamAction, StreamState, Watch
from .deepconf import Confident, DeepConf, confident_vote
from .exit_calibration import ExitCalibration, TooFewUnsafeExits
from .exit_labels import Problem, collect_exits
from .exit_scores import StatesAt
from .exits import Conformal, Cue, Deer, Dynasor, Exit, ExitRule, ProbeExit
from .loops import Loops
from .probes import Probing
from .reasoner import ControlFailed, Reasoner
from .route import NoThinking, Route
from .steer import NoCueTokens, Steer
from .steering_vector import Direction, SteeringVector, ThoughtStates, best_steering
from .thoughts import CUES, Cues, Thought
from .trim import Trim, Underthinking
from .verifier import RuleVerifier, Verifier

__all__ = [
    "CUES",
    "Adapt",
    "Close",
    "Confident",
    "Conformal",
    "Control",
    "ControlFailed",
    "Cue",
    "Cues",
    "DeepConf",
    "Deer",
    "Direction",
    "Drop",
    "Dynasor",
    "Elastic",
    "Exit",
    "ExitCalibration",
    "ExitRule",
    "Loops",
    "NoCueTokens",
    "NoThinking",
    "ProbeExit",
    "Probing",
    "Problem",
    "Ramp",
    "Reasoner",
    "Restart",
    "Route",
    "RuleVerifier",
    "StatesAt",
    "Steer",
    "SteeringVector",
    "StreamAction",
    "StreamState",
    "Thought",
    "ThoughtStates",
    "TooFewUnsafeExits",
    "Trim",
    "Underthinking",
    "Verifier",
    "Watch",
    "best_steering",
    "collect_exits",
    "confident_vote",
    "entropy_uncertainty",
    "length_score",
    "margin_uncertainty",
]
