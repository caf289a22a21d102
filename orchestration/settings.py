"""What a job runs with if nobody says otherwise."""

RELIABILITY = 0.99
"""Wanted chance that every step is right."""
LIMIT = 100
"""Samples that one step may use before it stalls."""
SEGMENT = 1000
"""Steps per segment."""
STATES = 500
"""Different states that are calibrated on."""
