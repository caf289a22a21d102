"""Whether a server has read all of a prompt: some cut what is longer than their context, answer, and say nothing."""

from surefoot.models.base import Prompt

FEW = 2000
"""Characters that fit into any context."""
MOST_A_TOKEN = 16
"""Letters and signs of a token on average, which no text of words, code or numbers comes near."""


def seems_cut(prompts: tuple[Prompt, ...], tokens: int) -> bool:
    """Whether a server counts fewer tokens than the prompts can have; 0 says nothing."""
    if not tokens:
        return False
    signs = sum(_signs(prompt) for prompt in prompts)
    return signs > FEW and signs > MOST_A_TOKEN * tokens


def _signs(prompt: Prompt) -> int:
    texts = [prompt] if isinstance(prompt, str) else [message.content for message in prompt]
    # Blanks may be many to a token.
    return sum(len(word) for text in texts for word in text.split()) if sum(map(len, texts)) > FEW else 0
