"""A bit that a disk has turned: it is noticed, or changes nothing."""

from __future__ import annotations

import random
import struct
from pathlib import Path

from distmarl.results.tables import EVALUATIONS
from tests.places import snapshot_of
from tests.report.results_folders import commit_points, grid_of, start_folder

FOOTER_BYTES = 8  # the length of what is told of the pages, and the magic bytes


def test_a_turned_bit_never_changes_a_number(tmp_path: Path) -> None:
    store = start_folder(tmp_path)
    commit_points(store, grid_of(["only"], [1, 2, 3], 4))
    store.publish()
    path, whole = tmp_path / "evaluations" / "data.parquet", snapshot_of(tmp_path).rows(EVALUATIONS)
    content = path.read_bytes()
    (length,) = struct.unpack("<I", content[-FOOTER_BYTES:][:4])
    rng, n_noticed = random.Random(0), 0
    for _ in range(200):
        turned = bytearray(content)
        turned[rng.randrange(4, len(content) - FOOTER_BYTES - length)] ^= 1 << rng.randrange(8)
        path.write_bytes(turned)
        snapshot = snapshot_of(tmp_path)
        found = snapshot.rows(EVALUATIONS)
        n_noticed += bool(snapshot.damaged)
        assert snapshot.damaged or repr(found) == repr(whole)
    assert n_noticed > 50
