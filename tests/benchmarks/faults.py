"""What a sweep goes through when its driver and workers are killed at random, and what that costs.

python -m tests.benchmarks.faults [--driver-kills 10] [--seed 0]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.faults.kill_loop import ROBOTS, kill_loop
from tests.faults.machinery import cluster_of
from tests.sweep.sweeps import plan_of, run, table_bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver-kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, cluster_of(3, n_cpus=2) as cluster:
        folder = Path(name)
        run(folder / "undisturbed", ROBOTS)
        toll = kill_loop(cluster, folder, arguments.driver_kills, arguments.seed)
        same = table_bytes(folder / "out") == table_bytes(folder / "undisturbed")
    print(f"a sweep of {sum(plan_of(ROBOTS).n_tasks.values())} tasks; {toll}")
    print(f"tables {'identical to' if same else 'DIFFERENT from'} an undisturbed run's")


if __name__ == "__main__":
    main()
