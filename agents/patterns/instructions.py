"""The patterns, and what a prompt says of each.

Of the tree of patterns in "Igniting Language Intelligence" (Zhang et al. 2023, arXiv 2311.11797), section 4, these are the ones that one call can
follow by itself: they change how a model thinks, and neither who is asked nor what is read.  A tree and a graph of thoughts need many calls, and
self-consistency is a vote.
"""

from collections.abc import Mapping

HEAD = """\
Think in the way that is described here, as briefly as it allows. What is asked below, and the form in which it is to be answered, stays as it is."""

PATTERNS: Mapping[str, str] = {
    "chain": "Go step by step: a line for each step, which follows from the lines before it. The last step leads to the answer.",
    "plan-and-solve": "First make a plan: say in a few lines which steps lead to the answer, and carry none of them out. Then carry them out in "
    "that order, with every value that is needed, and leave none out.",
    "program": "First write the program that would find the answer, in a few lines of simple code. Nobody runs it: go through it line by line "
    "yourself, and note the value of each variable. Its result is the answer.",
    "skeleton": "First write a skeleton: the points that the answer consists of, in their order, a few words each. Then work out each point by "
    "itself, and put them together.",
    "table": "Use a table: first the line | step | what is asked | how | result |, then such a line for each step. The result in the last line "
    "leads to the answer.",
    "verification": "Once you have an answer, take it for given and one of the given values for unknown, and find that value. If it is not the one "
    "that was given, something is wrong: solve it once more.",
}
"""By their names."""


def instruction(name: str) -> str:
    """Return the text that stands in front of a prompt, without a line break at its end."""
    return f"{HEAD}\n{PATTERNS[name]}"
