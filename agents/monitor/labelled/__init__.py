"""Trajectories whose overthinking is known, since they were made to show it."""
