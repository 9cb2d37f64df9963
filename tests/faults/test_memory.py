"""A task that takes too much memory is killed by Ray, tried again with more, and given up after some tries."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.faults.machinery import FaultyDriver
from tests.sweep.sweeps import write_sweep

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/meminfo"),
    pytest.mark.timeout(900),
]

ROOM = 5 * 2**29


def monitored() -> dict[str, str]:
    """Return variables that let Ray kill once a little more memory than now is used on this machine."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    sizes = {name: int(size.split()[0]) * 1024 for name, size in (line.split(":") for line in lines)}
    total, available = sizes["MemTotal"], sizes["MemAvailable"]
    if available < 2 * ROOM:
        pytest.skip("too little memory to take some away")
    return {
        "RAY_memory_usage_threshold": f"{(total - available + ROOM) / total:.4f}",
    }


def test_memory_kills_are_bounded_and_the_next_try_asks_for_more(tmp_path: Path) -> None:
    driver = FaultyDriver(
        None, tmp_path, {"misbehave": [["evaluate", 3, 0, "eat_at_first"], ["evaluate", 3, 1, "eat"]]}
    )
    sweep = write_sweep(tmp_path)
    code, said = driver.run(sweep, "--out", "out", "--num-cpus", "1", **monitored())
    assert code == 1, said
    (failure,) = pd.read_parquet(tmp_path / "out" / "failures").to_dict("records")
    assert (failure["seed"], failure["error"].split(":")[0]) == (1, "OutOfMemoryError")
    starts = driver.starts()
    (setting_id,) = {line.split()[1] for line in starts}
    mended, hopeless = (asked(tmp_path, f"evaluate {setting_id} 3 {seed}") for seed in (0, 1))
    assert len(mended) == 3, "the third try succeeds"
    assert mended[-1] >= 2**27
    # A try may be killed before it leaves a trace, while its predecessor's memory is still being freed.
    assert {2**28, 2**29} & set(hopeless)
    assert set(hopeless) <= {0, 2**27, 2**28, 2**29}
    assert len(hopeless) <= 5
    for tries in (mended, hopeless):
        assert tries == sorted(tries)


def asked(folder: Path, task: str) -> list[int]:
    """Return the memory that each try of a task asked for."""
    lines = [line.split(": ") for line in (folder / "trace.memory").read_text().splitlines()]
    return [int(memory) for name, memory in lines if name == task]
