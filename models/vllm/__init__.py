"""Start, watch and end a local vLLM."""
