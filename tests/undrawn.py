"""The command without its report, which takes ten times as long as a small sweep: ``python -m tests.undrawn ...``."""

from __future__ import annotations

import sys

from distmarl.sweep import __main__ as sweep_command

if __name__ == "__main__":
    sweep_command._report = lambda *_, **__: None
    sys.exit(sweep_command.main())
