"""LangGraph's checkpoints on plain Redis."""
