"""``python -m nixenv``: the command line, for a wrapper that wants ``python -I``."""

from nixenv.cli import main

if __name__ == "__main__":
    main()
