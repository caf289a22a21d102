"""Whether an agent thinks instead of acting: trajectories read, scored, and acted on."""
