"""How far the predicted times are from those that were taken, for each kind of task, over several sweeps.

    python -m tests.benchmarks.predictions [NAME ...]

Every sweep runs in this process, into a folder of its own. A prediction is that of ``--plan`` for a new folder; what it
is compared with is the processor time of the tasks, so that other work on the machine counts for less.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from distmarl.sweep.estimates.costs import estimate_costs
from tests.sweep.sweeps import plan_of, run

SMALL = {"experiment": {"k_values": [1, 2, 5, 10], "n_eval_seeds": 5, "reference_k": 5}}
SWEEPS: dict[str, dict[str, Any]] = {
    "robots, exact": {
        "experiment": {"k_values": [1, 5, 10, 15, 20, 25], "n_eval_seeds": 10, "reference_k": 10},
        "global_agent": {"transitions": "exact"},
        "local_agent": {"policy": "greedy"},
    },
    "robots, sampled": {"experiment": {"k_values": [1, 5, 10, 15, 20, 25], "n_eval_seeds": 10, "reference_k": 10}},
    "a thousand agents": {**SMALL, "environment": {"n_agents": 1000}, "global_agent": {"transitions": "exact"}},
    "a million agents": {**SMALL, "environment": {"n_agents": 10**6}, "global_agent": {"transitions": "exact"}},
    "exact gaps": {
        "environment": {"n_agents": 10},
        "experiment": {"k_values": [1, 3, 5, 8], "n_eval_seeds": 2, "reference_k": 3, "nash_gap": "exact"},
        "evaluation": {"method": "both"},
    },
    "estimated gaps": {
        **SMALL,
        "environment": {"n_agents": 100},
        "experiment": {**SMALL["experiment"], "nash_gap": "estimate"},
    },
    "the best": {
        "environment": {"n_agents": 20},
        "experiment": {"k_values": [1, 3, 5], "n_eval_seeds": 2, "reference_k": 3, "local_policy": "per_k"},
        "alternating": {"starts": ["uniform", "stay", "constant_action"], "ascent": True},
        "global_agent": {"answer": "best", "transitions": "exact"},
        "local_agent": {"policy": "greedy"},
    },
    "bounds and baselines": {
        "environment": {"n_agents": 15},
        "experiment": {
            "k_values": [1],
            "n_eval_seeds": 2,
            "reference_k": 1,
            "bound": "exact",
            "baselines": ["random", "blind", "full_information"],
        },
    },
}


def compare(mapping: dict[str, Any]) -> pd.DataFrame:
    """Run a sweep and return predicted and taken core seconds, by kind."""
    plan = plan_of({"name": "predictions", **mapping})
    pending = plan.pending(None)
    costs = estimate_costs(plan, None, pending)
    predicted: Counter[str] = Counter()
    for group, seeds in pending.missing.items():
        predicted[group.kind] += len(seeds) * costs.seconds(group.kind, group.setting_id, group.k)  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), {"name": "predictions", **mapping})
        timings = pd.read_parquet(Path(folder, "timings")).query("task != 'outer_iteration'")
    taken = timings.groupby("task")[["seconds", "cpu_seconds"]].sum()
    table = taken.join(pd.Series(predicted, name="predicted"))
    table["ratio"] = table["predicted"] / table["cpu_seconds"]
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(SWEEPS)} (default: all)")
    for name in parser.parse_args().names or SWEEPS:
        print(f"{name}\n{compare(SWEEPS[name]).round(3).to_string()}\n", flush=True)


if __name__ == "__main__":
    main()
