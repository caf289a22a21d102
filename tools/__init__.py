"""What an agent may touch: boards, shell, files, images, benchmarks."""
