"""In which order, with which state, on which machine."""
