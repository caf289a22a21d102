"""`python -m surefoot`."""

from .cli import main

if __name__ == "__main__":
    main()
