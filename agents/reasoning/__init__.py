"""What a model thinks before it answers: read as it comes, budgeted, and stopped when the answer is there."""
