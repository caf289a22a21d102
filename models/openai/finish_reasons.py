"""Why a model stopped: the words that servers have for it, in those of the OpenAI API."""

from surefoot.printable import printable

from .limits import MOST_CHARACTERS

_WORDS = {
    "stop": (
        *("stop", "eos", "eos_token", "eos_token_id", "end", "eot", "eot_id", "end_of_text", "endoftext"),
        *("end_turn", "im_end", "stop_sequence", "stop_string", "stop_token", "stop_str", "stop_word", "s"),
        *(
            "end_of_sequence",
            "end_of_turn",
            "complete",
            "completed",
            "completion",
            "done",
            "finish",
            "finished",
        ),
        *("normal", "natural", "success", "model_stop"),
    ),
    "length": (
        *(
            "length",
            "max_tokens",
            "max_length",
            "max_new_tokens",
            "max_output_tokens",
            "max_completion_tokens",
        ),
        *(
            "max_tokens_reached",
            "max_total_tokens",
            "token_limit",
            "token_limit_reached",
            "limit",
            "model_length",
        ),
        *("context_length", "context_window", "context_length_exceeded", "model_context_window_exceeded"),
        *("length_limit", "truncated", "incomplete"),
    ),
    "content_filter": (
        *("content_filter", "content_filtered", "safety", "recitation", "blocklist", "prohibited_content"),
        *("sensitive", "refusal", "spii", "guardrail_intervened"),
    ),
    "tool_calls": ("tool_calls", "tool_call", "tool_use", "function_call"),
    "abort": ("abort", "aborted", "cancelled", "canceled", "cancel"),
    "error": (
        *("error", "server_error", "internal_error", "engine_error", "upstream_error", "network_error"),
        *("insufficient_system_resource", "overloaded", "timeout", "malformed_response"),
    ),
}
_MEANING = {word: meaning for meaning, words in _WORDS.items() for word in words}
FAILURES = ("error",)
"""The model did not stop: something broke, and what came is no sample."""


def finish_word(said: object) -> str | None:
    """Return why the model stopped as the OpenAI API says it, the server's own word if it is unknown, None if it never said."""
    if not isinstance(said, str) or not said:
        return None
    if said in _WORDS:
        return said
    word = said[: 2 * MOST_CHARACTERS].strip("<|/> \n").lower().replace("-", "_").replace(" ", "_")
    word = word.removeprefix("finish_reason_").removeprefix("stop_reason_")
    if word in ("", "null", "none"):
        return None
    return _MEANING.get(word) or printable(said)[:MOST_CHARACTERS]


def unknown(finish: str | None) -> bool:
    """Whether this word for an end has no known meaning."""
    return finish is not None and finish not in _WORDS
