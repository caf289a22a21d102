"""What `surefoot.agents.reasoning` offers."""

from .adapt import Adapt, Ramp, entropy_uncertainty, length_score, margin_uncertainty
from .budget import Elastic
from .control import Close, Control, Drop, Restart, StreamAction, StreamState, Watch
from .deepconf import Confident, DeepConf, confident_vote
from .exit_calibration import ExitCalibration, TooFewUnsafeExits
from .exits import Conformal, Cue, Deer, Dynasor, Exit, ExitRule
from .loops import Loops
from .probes import Probing
from .reasoner import ControlFailed, Reasoner
from .route import NoThinking, Route
from .steer import NoCueTokens, Steer
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
    "Drop",
    "Dynasor",
    "Elastic",
    "Exit",
    "ExitCalibration",
    "ExitRule",
    "Loops",
    "NoCueTokens",
    "NoThinking",
    "Probing",
    "Ramp",
    "Reasoner",
    "Restart",
    "Route",
    "RuleVerifier",
    "Steer",
    "StreamAction",
    "StreamState",
    "Thought",
    "TooFewUnsafeExits",
    "Trim",
    "Underthinking",
    "Verifier",
    "Watch",
    "confident_vote",
    "entropy_uncertainty",
    "length_score",
    "margin_uncertainty",
]
