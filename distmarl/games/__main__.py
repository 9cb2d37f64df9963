"""List the built-in games, show one, or check one of your own: ``python -m distmarl.games``."""

from __future__ import annotations

import sys

from distmarl.examine.command import main

if __name__ == "__main__":
    sys.exit(main())
