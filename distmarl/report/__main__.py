"""Report a sweep's results: ``python -m distmarl.report results/robots``."""

from __future__ import annotations

import sys

from distmarl.report.cli import main

if __name__ == "__main__":
    sys.exit(main())
