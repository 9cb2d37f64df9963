from __future__ import annotations

import errno
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distmarl.errors import ResultsError
from distmarl.results.fields import SCHEMA_VERSION
from distmarl.results.storage.disk import LocalFolder
from distmarl.results.storage.location import File
from distmarl.results.storage.opening import open_location
from distmarl.results.store import Store
from distmarl.results.tables import EVALUATIONS, FAILURES, SETTINGS, TABLES, TRAININGS
from tests.object_store import ObjectStore
from tests.places import locked, snapshot_of, store_in


def training(k: int, setting_id: str = "s", **changes: Any) -> dict[str, Any]:
    row = {
        "sweep": "t",
        "setting_id": setting_id,
        "k": k,
        "train_seed": 0,
        "transitions": "sampled",
        "n_count_vectors": 5,
    }
    return {**row, "n_iterations": 3, "bound": 0.5, "converged": True, **changes}


def setting(setting_id: str, **environment: Any) -> dict[str, Any]:
    content = json.dumps({"environment": environment})
    return {"sweep": "t", "setting_id": setting_id, "in_sweep": True, "label": "", "content": content}


def commit(store: Store, *rows: dict[str, Any]) -> None:
    for row in rows:
        store.commit(f"{row['setting_id']}-{row['k']}", [(TRAININGS, [row])])


def published(folder: Path, name: str = "trainings") -> pd.DataFrame:
    return pd.read_parquet(folder / name)


def test_what_is_committed_is_published_sorted_by_key(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    commit(store, training(3), training(1), training(2))
    store.publish()
    assert published(tmp_path)["k"].tolist() == [1, 2, 3]


def test_every_table_is_published_even_when_empty(tmp_path: Path) -> None:
    store_in(tmp_path).publish()
    for name, table in TABLES.items():
        assert set(table.schema.names) <= set(published(tmp_path, name).columns)


def test_a_task_that_runs_twice_is_counted_once(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    commit(store, training(1, bound=0.5))
    store.publish()
    commit(store, training(1, bound=0.25))
    store.publish()
    assert published(tmp_path)["bound"].tolist() == [0.25]


def test_a_crash_between_publishing_and_deleting_counts_nothing_twice(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    commit(store, training(1), training(2))
    parts = {path: path.read_bytes() for path in (tmp_path / "_parts" / "trainings").iterdir()}
    store.publish()
    for path, content in parts.items():
        path.write_bytes(content)
    store_in(tmp_path).publish()
    assert published(tmp_path)["k"].tolist() == [1, 2]


def test_published_parts_are_deleted(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    commit(store, training(1))
    store.publish()
    assert list((tmp_path / "_parts" / "trainings").iterdir()) == []


def test_a_part_is_seen_before_it_is_published(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    commit(store, training(4))
    assert store.keys(TRAININGS) == {("s", 4, 0)}
    assert store.read(TRAININGS)["k"].tolist() == [4]
    assert not (tmp_path / "trainings").exists()


def test_a_write_that_fails_leaves_the_published_table_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_in(tmp_path)
    commit(store, training(1))
    store.publish()
    commit(store, training(2))

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResultsError, match=r"data\.parquet: cannot be written: No space left on device; free some"):
        store.publish()
    monkeypatch.undo()
    assert published(tmp_path)["k"].tolist() == [1]
    store_in(tmp_path).publish()
    assert published(tmp_path)["k"].tolist() == [1, 2]


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    for name, order in (("a", [1, 2, 3]), ("b", [3, 1, 2])):
        store = store_in(tmp_path / name)
        for k in order:
            commit(store, training(k))
            store.publish()
    assert (tmp_path / "a/trainings/data.parquet").read_bytes() == (tmp_path / "b/trainings/data.parquet").read_bytes()


def test_null_parts_of_a_key_tell_rows_apart(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    row = {
        "sweep": "t",
        "task": "shared_policy",
        "setting_id": "s",
        "k": None,
        "train_seed": 0,
        "seed": None,
        "error": "e",
    }
    store.commit("a", [(FAILURES, [row])])
    store.commit("b", [(FAILURES, [row, {**row, "k": 1}])])
    assert len(store.read(FAILURES)) == 2


def test_grid_columns_come_from_the_settings_with_their_types(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.add_settings(
        [setting("a", n_agents=30, gamma=1, kind="x", flag=True), setting("b", n_agents=7, gamma=0.5, flag=False)],
        ["environment.n_agents", "environment.gamma", "environment.kind", "environment.flag"],
    )
    commit(store, training(1, "a"), training(1, "b"))
    store.publish()
    frame = published(tmp_path)
    assert list(frame.columns[1:6]) == [
        "setting_id",
        "environment.n_agents",
        "environment.gamma",
        "environment.kind",
        "environment.flag",
    ]
    assert frame["environment.n_agents"].tolist() == [30, 7]
    assert frame["environment.gamma"].tolist() == [1.0, 0.5]
    assert frame["environment.kind"].isna().tolist() == [False, True]
    assert frame["environment.flag"].tolist() == [True, False]


def test_a_grid_that_grows_later_reaches_rows_that_were_published_before(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.add_settings([setting("a", n_agents=30)], [])
    commit(store, training(1, "a"))
    store.publish()
    store.add_settings([setting("b", n_agents=7)], ["environment.n_agents"])
    store.publish(force=True)
    assert published(tmp_path)["environment.n_agents"].tolist() == [30]
    assert published(tmp_path, "settings").set_index("setting_id")["in_sweep"].to_dict() == {"a": False, "b": True}


def test_every_column_says_its_unit_and_meaning(tmp_path: Path) -> None:
    store_in(tmp_path).publish()
    for name, table in TABLES.items():
        schema = pq.read_schema(tmp_path / name / "data.parquet")
        assert schema.metadata[b"distmarl.schema_version"] == SCHEMA_VERSION.encode()
        for field_name in table.schema.names:
            metadata = schema.field(field_name).metadata
            assert metadata[b"description"], field_name
            assert metadata[b"unit"], field_name


def test_rows_are_found_by_their_key(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    commit(store, training(1, "a"), training(2, "a"), training(2, "b"))
    store.publish()
    commit(store, training(3, "a"))
    assert [row["k"] for row in store.rows(TRAININGS, setting_id="a")] == [1, 2, 3]
    assert [row["setting_id"] for row in store.rows(TRAININGS, setting_id="b", k=2)] == ["b"]


def test_replacing_a_table_forgets_its_parts(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    commit(store, training(1))
    store.replace(TRAININGS, [training(9)])
    assert store.keys(TRAININGS) == {("s", 9, 0)}


def test_lists_survive(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    row = dict.fromkeys(EVALUATIONS.schema.names) | {
        "setting_id": "s",
        "k": 1,
        "train_seed": 0,
        "seed": 0,
        "returns": [1.5, 2.5],
    }
    store.commit("x", [(EVALUATIONS, [row])])
    store.publish()
    assert published(tmp_path, "evaluations")["returns"][0].tolist() == [1.5, 2.5]


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    commit(store, training(1))
    store.publish()
    snapshot_of(tmp_path).check_version()
    path = tmp_path / "trainings" / "data.parquet"
    data = pq.read_table(path)
    pq.write_table(data.replace_schema_metadata({b"distmarl.schema_version": b"0"}), path)
    with pytest.raises(ResultsError, match=f"schema version 0, this distmarl uses version {SCHEMA_VERSION}"):
        snapshot_of(tmp_path).check_version()


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "trainings").mkdir()
    (tmp_path / "trainings" / "data.parquet").write_bytes(b"PAR1")
    snapshot = snapshot_of(tmp_path)
    snapshot.check_version()
    assert "is not a readable Parquet file" in snapshot.damaged["trainings"]
    with pytest.raises(ResultsError, match=r"data\.parquet: is not a readable Parquet file"):
        store_in(tmp_path).keys(TRAININGS)


def test_a_file_that_is_replaced_by_a_longer_one_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_in(tmp_path)
    commit(store, training(1))
    store.publish()
    files, cut = LocalFolder.files, iter([20, 50])

    def cut_files(self: LocalFolder, names: list[str]) -> list[File]:
        length = next(cut, None)
        return [File(file.name, partial(pa.BufferReader, file.open().read()[:length])) for file in files(self, names)]

    monkeypatch.setattr(LocalFolder, "files", cut_files)
    assert store.keys(TRAININGS) == {("s", 1, 0)}
    assert next(cut, None) is None


def test_settings_of_an_earlier_sweep_are_kept_out_of_the_sweep(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.add_settings([setting("a", n_agents=1)], [])
    store.add_settings([setting("b", n_agents=2)], [])
    store.add_settings([setting("a", n_agents=1)], [])
    assert {row["setting_id"]: row["in_sweep"] for row in store.rows(SETTINGS)} == {"a": True, "b": False}


def test_long_lists_are_merged_a_few_rows_at_a_time(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    blank = dict.fromkeys(EVALUATIONS.schema.names) | {"setting_id": "s", "k": 1, "train_seed": 0}
    rows = [{**blank, "seed": seed, "returns": [float(seed), 0.5]} for seed in range(300)]
    store.commit("even", [(EVALUATIONS, rows[::2])])
    store.publish()
    store.commit("odd", [(EVALUATIONS, rows[1::2])])
    store.commit("rerun", [(EVALUATIONS, [{**rows[7], "returns": [-1.0]}])])
    store.publish()
    frame = published(tmp_path, "evaluations")
    assert frame["seed"].tolist() == list(range(300))
    assert [row[0] for row in frame["returns"]] == [-1.0 if seed == 7 else float(seed) for seed in range(300)]
    assert pq.ParquetFile(tmp_path / "evaluations" / "data.parquet").num_row_groups == 3


def test_what_another_one_published_meanwhile_is_taken_in_and_not_replaced(object_store: ObjectStore) -> None:
    folder = f"{object_store.new_bucket()}/results"
    place = object_store.uri(folder)
    store, other = store_in(place), store_in(place)
    store.add_settings([setting("s", n_agents=30)], [])
    commit(store, training(1))
    store.publish()
    commit(store, training(2))
    commit(other, training(3))
    between = iter([other.publish])

    def publish_first(request: dict[str, Any]) -> None:
        if request["REQUEST_METHOD"] == "PUT" and request["PATH_INFO"].endswith("trainings/data.parquet"):
            next(between, lambda: None)()

    with object_store.failing(publish_first):
        store.publish()
    assert next(between, None) is None
    assert pd.read_parquet(object_store.uri(f"{folder}/trainings"))["k"].tolist() == [1, 2, 3]


def test_parts_bear_the_number_of_the_lock_that_they_were_written_with(tmp_path: Path) -> None:
    for number in (1, 2):
        with locked(tmp_path) as lock:
            store = Store(open_location(tmp_path), lock)
            commit(store, training(1, bound=0.5 / number))
    names = sorted(path.name for path in (tmp_path / "_parts" / "trainings").iterdir())
    assert names == ["000001-s-1.parquet", "000002-s-1.parquet"]
    store_in(tmp_path).publish()
    assert published(tmp_path)["bound"].tolist() == [0.25]  # the last holder's


def test_clearing_leaves_empty_tables_and_no_part(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    commit(store, training(1))
    store.publish()
    commit(store, training(2))
    store.clear()
    assert store.keys(TRAININGS) == set()
    assert len(published(tmp_path)) == 0
    assert list((tmp_path / "_parts" / "trainings").iterdir()) == []
