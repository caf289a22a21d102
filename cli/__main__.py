"""`python -m surefoot.cli`."""

from . import main

main()
