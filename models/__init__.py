"""What answers asks: the seams, the client, the embedded models, vLLM, and deterministic doubles."""
