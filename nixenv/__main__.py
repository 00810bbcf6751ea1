"""``python -m nixenv``: the command line."""

from nixenv.entry import nixenv

if __name__ == "__main__":
    nixenv()
