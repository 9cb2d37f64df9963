"""The main job from the cold command to the figures.

python -m tests.benchmarks.cold_start [SWEEP_FILE]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd


def main() -> None:
    sweep = sys.argv[1] if len(sys.argv) > 1 else "sweeps/robots.yaml"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "results"
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "distmarl.sweep", sweep, "--out", str(out), "--quiet"], check=True)
        elapsed = time.perf_counter() - start
        timings = pd.read_parquet(out / "timings")
        work = timings.groupby("task")["seconds"].sum()
        figures = sorted(path.name for path in out.glob("*.png"))
    print(f"{sweep}: {elapsed:.1f} s from the command to {', '.join(figures)}")
    print("seconds of work by kind of task: " + ", ".join(f"{task} {value:.1f}" for task, value in work.items()))


if __name__ == "__main__":
    main()
