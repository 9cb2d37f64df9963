"""Tell how far a sweep is: ``python -m distmarl.status results/robots``."""

from __future__ import annotations

import sys

from distmarl.status.cli import main

if __name__ == "__main__":
    sys.exit(main())
