"""The reasoning tags, chat control tokens and role markers of current models, as patterns over a skeleton.

Every pattern is linear: it begins with one fixed character or at the start of a line, and what it repeats is possessive or
bounded.  None depends on what stands before it, and none reaches over a `MARK`.
"""

import re

from .lookalikes import JOIN, MARK, look

THOUGHTS = (
    "think thinking thought thoughts reason reasoning reasoning_content reflection scratchpad analysis monologue inner_monologue "
    "chain_of_thought cot rationale"
)
"""Tags around thoughts, `<think>`: R1, QwQ, Qwen 3, Seed (`<seed:think>`), Kimi (`◁think▷`), and what prompts ask for."""

ANGLED = (
    "bos eos pad unk sop eop start_of_turn end_of_turn start_of_image end_of_image tool_call tool_calls tool_response "
    "tool_responses tool_result tool_results function_call function_calls function_results system system_prompt "
    "assistant human invoke"
)
"""Control tokens in angle brackets: Llama 2, Mistral, Gemma, GLM, Hermes, Qwen and MiniMax tool calls."""

PIPED = (
    "im_start im_end im_sep begin_of_text end_of_text endoftext eot_id eom_id start_header_id end_header_id header_start "
    "header_end eot eom python_tag start end return call channel message constrain turn system user assistant tool "
    "observation begin_of_sentence end_of_sentence begin_of_thought end_of_thought start_thinking end_thinking"
)
"""Control tokens between `<|` and `|>`, for the forms that are not closed: ChatML, Llama 3 and 4, gpt-oss, Phi, DeepSeek."""

BRACKETED = (
    "inst system_prompt available_tools tool_calls tool_results tool_content call_id model_settings gmask"
)
"""Control tokens in square brackets: Llama 2, Mistral, GLM."""

ROLES = "assistant system user human developer"

_GAP = rf"[\s{JOIN}]*+"
_BOUNDARY = r"(?![-_]*+[^\W_])"


def _words(names: str, gap: str = _GAP) -> str:
    """Match any of the names as a skeleton shows them, letters `gap` apart; the longest first."""
    longest_first = sorted(names.split(), key=len, reverse=True)
    return f"(?:{'|'.join(gap.join(map(_letter, each)) for each in longest_first)})"


def _letter(character: str) -> str:
    return rf"[\s{JOIN}_-]*+" if character == "_" else re.escape(look(character))


_SLASH = rf"(?:[/\\]{{1,4}}+{_GAP})?+"
_VENDOR = r"(?:[a-z]{1,16}+:)?"
_TIGHT = rf"{JOIN}*+"
_SLASHES = rf"{_TIGHT}[/\\]{{0,4}}+{_TIGHT}"
_TAG = (
    rf"<{_GAP}{_SLASH}{_VENDOR}{_words(THOUGHTS)}{_GAP}{_SLASH}>"
    rf"|<{_SLASHES}{_VENDOR}{_words(THOUGHTS, _TIGHT)}{_BOUNDARY}"
    rf"|\[{_GAP}{_SLASH}{_words('think')}{_GAP}\]"
)
_CHANNELS = _words("analysis commentary thought")
_PIPE = rf"{_GAP}\|{_GAP}"
_BEGIN = (
    rf"<{_PIPE}(?:{_words('channel')}{_GAP}\|?+{_GAP}>{_GAP}{_CHANNELS}{_BOUNDARY}"
    rf"|{_words('begin_of_thought start_thinking')}{_PIPE}>)"
    rf"|<{_GAP}{_words('unused94')}{_GAP}>"
)
_END = (
    rf"<{_PIPE}{_words('end return end_of_thought end_thinking')}{_PIPE}>"
    rf"|<{_GAP}{_words('channel')}{_PIPE}>"
    rf"|<{_GAP}{_words('unused95')}{_GAP}>"
)
_STARTS = _words("im_start start start_header_id header_start turn channel")
_SPEAKER = rf"(?:{_GAP}{_words(f'{ROLES} tool model final')}(?!\w))?+"
_TOKEN = (
    rf"<{_GAP}(?:\|{_GAP}{_STARTS}{_GAP}\|?+|{_STARTS}{_GAP}\||{_words('start_of_turn')}){_GAP}>{_SPEAKER}"
    rf"|<{_PIPE}{_SLASH}{_words(PIPED)}{_PIPE}>"
    rf"|<{_GAP}\|[^<>|\n{MARK}]{{1,64}}+\|{_GAP}>"
    rf"|<\|{_SLASHES}\w{{1,32}}+>|<{_SLASHES}\w{{1,32}}+\|>"
    rf"|<\|{_SLASHES}{_words(PIPED, _TIGHT)}{_BOUNDARY}"
    rf"|<{_GAP}{_SLASH}{_words(ANGLED)}{_GAP}{_SLASH}>"
    rf"|<{_GAP}{_words('unused')}(?:{_GAP}[0-9oi]){{1,6}}+{_GAP}>"
    rf"|<{_SLASHES}(?:{_words('start_of_turn end_of_turn', _TIGHT)}|{_VENDOR}{_words('invoke', _TIGHT)}){_BOUNDARY}"
    rf"|<{_SLASHES}s{_TIGHT}>"
    rf"|<{_GAP}<{_GAP}{_SLASH}{_words('sys')}(?:{_GAP}>{_GAP}>|{_BOUNDARY})"
    rf"|\[{_GAP}{_SLASH}{_words(BRACKETED)}{_GAP}\]"
    rf"|\[{_SLASHES}{_words(BRACKETED, _TIGHT)}{_BOUNDARY}"
)
TOKEN = re.compile(f"(?P<tag>{_TAG})|(?P<begin>{_BEGIN})|(?P<end>{_END})|(?P<token>{_TOKEN})", re.IGNORECASE)
"""`tag` opens or closes a thought by its name, `begin` and `end` do so in the harmony of gpt-oss and its relatives,
and between two of Gemma's unused tokens, 94 and 95, which MedGemma puts around its thoughts."""

_LEAD = rf"[ \t>*_`~\[({MARK}{JOIN}]*+"
_AFTER = rf"[ \t*_`~\]){MARK}{JOIN}]*+(?:\([^()\n]{{0,40}}+\)[ \t*_]*+)?+"
_CAPITALS = "|".join(
    role[0].upper() + f"(?i:{_words(role[1:], _TIGHT)})" for role in ("system", "user", "developer")
)
_ROLE = rf"(?:(?i:{_words('assistant human', _TIGHT)})|{_CAPITALS})"
_HEADING = (
    rf"(?i:{_words(ROLES, _TIGHT)}{_AFTER}(?::++|$)|{_words('instruction response', _TIGHT)}{_AFTER}:++)"
)
ROLE = re.compile(
    rf"^(?:{_LEAD}(?:\#{{2,}}+{_LEAD}{_HEADING}|\#*+{_LEAD}{_ROLE}{_AFTER}:++)[*_`~]*+)+", re.MULTILINE
)
"""`Assistant:` and `Human:` in any case, `System:`, `User:` and `Developer:` with a capital, at the start of a line; and a
heading of two # or more that is a role, or `Instruction` or `Response` with a colon."""
