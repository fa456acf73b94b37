"""`python -m paragon_async` is the command."""

from paragon_async.cli import main

if __name__ == "__main__":
    main()
