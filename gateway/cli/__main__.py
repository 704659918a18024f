"""`python -m gateway.cli COMMAND`: how the program starts itself, wherever its script lies."""

import sys

from gateway.cli import main

if __name__ == "__main__":
    sys.exit(main())
