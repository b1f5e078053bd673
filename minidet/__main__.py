"""``python -m minidet``: the command line, also where no ``minidet`` script is on the path."""

import sys

from minidet.cli import main

if __name__ == "__main__":
    sys.exit(main())
