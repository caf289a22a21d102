"""What a job runs with unless told otherwise."""

RELIABILITY = 0.99
"""Wanted chance that every step is right."""
LIMIT = 100
"""Samples that one step may use before it stalls."""
MOST_SAMPLES = 100_000
"""The largest limit: the samples that could decide a step are asked for at once, and have to fit into memory."""
SEGMENT = 1000
"""Steps per segment."""
STATES = 500
"""Different states that are calibrated on."""
