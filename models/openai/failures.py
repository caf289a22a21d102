"""What goes wrong with a request, and whether it is worth while to ask again."""

import re
from enum import Enum, auto

from surefoot.models.base import ModelUnavailable


class RequestRefused(ModelUnavailable):
    """The server answers, and says no: trying the same again would change nothing."""

    def __init__(self, sentence: str, status: int | None = None, words: str = "") -> None:
        super().__init__(sentence)
        self.status = status
        self.words = words
        """All that the server said, without keys, to look for words in."""


class UnreadableResponse(RequestRefused):
    """What the server sends makes no text, and would not if it were asked again."""


class Transient(Exception):
    """A failure that may pass; `once`: it rarely does, and one more try is enough to know."""

    def __init__(self, error: str, retry_after_s: float = 0.0, *, once: bool = False) -> None:
        super().__init__(error)
        self.retry_after_s = retry_after_s
        self.once = once


class StreamInterrupted(ModelUnavailable):
    """A stream broke off after the model had begun: what has come is good, the rest can be asked for."""


class Lasts(Enum):
    """How long a failure stays."""

    PASSES = auto()
    ONCE_MORE = auto()
    """It has the status of a failure that passes and words of one that stays: one more try decides."""
    STAYS = auto()


_MONEY = re.compile(
    r"insufficient_quota|budget_?exceeded|exceeded_?budget|budget has been exceeded|billing_(hard_limit|not_active)"
    r"|billing hard limit|insufficient[_ ](balance|credits?|funds)|(out of|no|not enough|exceeded) credits?\b"
    r"|payment[_ ]required|account[_ ](is )?(deactivated|suspended|disabled)",
    re.IGNORECASE,
)
_SIZE = re.compile(
    r"context_length_exceeded|exceed_context_size|context (size|length|window)[^.]{0,40}exceed|exceed[^.]{0,60}context"
    r"|maximum context length|(prompt|input|request)(_| is | )too[_ ](long|large)|string_above_max_length|too many tokens",
    re.IGNORECASE,
)
_CONTENT = re.compile(
    r"content_(filter|policy)|content (filter|management policy|policy)|responsibleaipolicy|moderation_blocked"
    r"|flagged as potentially violating",
    re.IGNORECASE,
)
_IDENTITY = re.compile(
    r"invalid_api_key|incorrect api key|invalid api key|api key not (valid|found)|authentication_?error"
    r"|permission_?(denied|error)|unauthori[sz]ed",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"model_not_found|invalid_?model|unknown_model|(no such|unknown) model|model\b.{0,80}\b(does not exist|not found)"
    r"|invalid_request(_error)?\b|unsupported_(parameter|value)|validation_?error|notimplemented",
    re.IGNORECASE,
)
_LATER = re.compile(
    r"try (again )?(in|after)\b|trying again|please wait|per (minute|second|hour|day)\b", re.IGNORECASE
)
"""Words of a limit that is lifted by itself: providers use those of a spent quota, or of a long prompt, for it, too."""

_PASSING = (408, 409, 425, 429)
_NEVER = (501, 505)


def lasts(status: int | None, kind: str, words: str) -> Lasts:
    """Say how long a failure stays; `kind` is the error's type and code as the server names them, `words` its message.

    `status` is that of the response, or the error's own code where it came with status 200 (None: it has none).

    | what it says                     | 4xx   | 408, 409, 425, 429 | 5xx       | none   |
    | -------------------------------- | ----- | ------------------ | --------- | ------ |
    | money: quota, budget, credit     | stays | stays              | stays     | stays  |
    | too long for the context         | stays | stays              | once more | stays  |
    | content policy, key, bad request | stays | once more          | once more | stays  |
    | anything else                    | stays | passes             | passes    | passes |

    501 and 505 stay.  What says when to come back passes, unless its kind is that of money.
    """
    said = f"{kind} {words}"
    if status is not None and ((400 <= status < 500 and status not in _PASSING) or status in _NEVER):
        return Lasts.STAYS
    if _MONEY.search(kind) or (_MONEY.search(words) and not _LATER.search(said)):
        return Lasts.STAYS
    if _SIZE.search(said) and not _LATER.search(words):
        return Lasts.STAYS if status is None or status in _PASSING else Lasts.ONCE_MORE
    if any(pattern.search(said) for pattern in (_CONTENT, _IDENTITY, _REQUEST)):
        return Lasts.STAYS if status is None else Lasts.ONCE_MORE
    return Lasts.PASSES
