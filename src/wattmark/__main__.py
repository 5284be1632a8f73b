"""``python -m wattmark``: the command line."""

from wattmark.cli import main

if __name__ == "__main__":
    main()
