"""Run a sweep: ``python -m distmarl.sweep sweeps/robots.yaml``."""

from __future__ import annotations

import sys

from distmarl.sweep.cli import main

if __name__ == "__main__":
    sys.exit(main())
