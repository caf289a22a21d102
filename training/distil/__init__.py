"""Micro agents: a task's elected verdicts become the training set of a small model, which then votes in the large one's place."""
