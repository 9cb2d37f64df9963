from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from distmarl import estimate_difference, estimate_mean
from distmarl.results.merging import MergedTable
from distmarl.results.store import Store
from distmarl.results.summary.summary_points import EVALUATION_COLUMNS
from distmarl.results.summary.summary_rows import summary_rows
from distmarl.results.tables import EVALUATIONS, SUMMARY
from tests.places import store_in

Returns = dict[tuple[str, int, int], list[float]]


def committed(folder: Path, returns: Returns, accuracy: float | None = 0.5) -> Store:
    """Return a store with an evaluation for each (setting, k, seed)."""
    store = store_in(folder)
    blank: dict[str, Any] = dict.fromkeys(EVALUATIONS.schema.names)
    for (setting_id, k, seed), drawn in returns.items():
        row = {**blank, "sweep": "t", "setting_id": setting_id, "k": k, "train_seed": 0, "seed": seed}
        row |= {"mode_accuracy": accuracy, "returns": drawn}
        store.commit(f"{setting_id}-{k}-{seed}", [(EVALUATIONS, [row])])
    return store


def random_returns(k_values: list[int], n_seeds: int, n_rollouts: int = 4) -> Returns:
    rng = np.random.default_rng(0)
    return {("s", k, seed): list(rng.normal(k, 1, size=n_rollouts)) for k in k_values for seed in range(n_seeds)}


def test_a_row_holds_both_intervals_of_the_mean_and_the_scatter_of_the_seeds(tmp_path: Path) -> None:
    returns = random_returns([3], 5)
    (row,) = committed(tmp_path, returns).summary().to_dict("records")
    drawn = np.array(list(returns.values()))
    over_rollouts, over_seeds = estimate_mean(drawn.ravel()), estimate_mean(drawn.mean(axis=1))
    assert (row["sweep"], row["setting_id"], row["k"], row["n_seeds"], row["n_rollouts"]) == ("t", "s", 3, 5, 20)
    assert row["mean_return"] == over_rollouts.mean == pytest.approx(over_seeds.mean)
    for prefix, estimate in (("", over_rollouts), ("seeds_", over_seeds)):
        assert row[f"{prefix}standard_error"] == estimate.standard_error
        assert (row[f"{prefix}ci95_low"], row[f"{prefix}ci95_high"]) == (estimate.ci95_low, estimate.ci95_high)
    seeds = drawn.mean(axis=1)
    assert (row["min_return"], row["max_return"]) == (seeds.min(), seeds.max())
    assert row["std_return"] == pytest.approx(seeds.std(ddof=1))
    assert row["mode_accuracy"] == 0.5
    assert row["is_best"]


def test_differences_are_over_the_pairs_of_neighbouring_k(tmp_path: Path) -> None:
    returns = random_returns([10, 1, 4], 3)
    rows = committed(tmp_path, returns).summary().set_index("k")
    assert rows["previous_k"].fillna(0).tolist() == [0, 1, 4]
    assert np.isnan(rows["difference"][1])
    for before, after in ((1, 4), (4, 10)):
        sides = (np.concatenate([returns["s", k, seed] for seed in range(3)]) for k in (before, after))
        estimate = estimate_difference(*sides)
        row = rows.loc[after]
        assert (row["n_pairs"], row["difference"]) == (12, estimate.mean)
        assert row["difference_standard_error"] == estimate.standard_error
        assert (row["difference_ci95_low"], row["difference_ci95_high"]) == (estimate.ci95_low, estimate.ci95_high)


def test_only_seeds_that_both_have_make_pairs(tmp_path: Path) -> None:
    returns: Returns = {
        ("s", 1, 0): [1.0, 2.0],
        ("s", 1, 1): [5.0, 5.0],
        ("s", 2, 1): [6.0, 8.0],
        ("s", 2, 2): [0.0] * 2,
    }
    returns[("s", 3, 0)] = [9.0, 9.0]
    rows = committed(tmp_path, returns).summary().set_index("k")
    assert (rows["n_pairs"][2], rows["difference"][2]) == (2, 2.0)
    assert rows["n_pairs"][3] == 0
    assert np.isnan(rows["difference"][3])


def test_settings_are_not_compared_with_one_another(tmp_path: Path) -> None:
    returns: Returns = {("a", 1, 0): [1.0], ("a", 2, 0): [3.0], ("b", 1, 0): [9.0], ("b", 2, 0): [9.0]}
    rows = committed(tmp_path, returns).summary()
    assert rows["difference"].fillna(-1).tolist() == [-1, 2, -1, 0]
    assert rows["is_best"].tolist() == [False, True, True, True]


def test_one_rollout_has_no_interval(tmp_path: Path) -> None:
    (row,) = committed(tmp_path, {("s", 1, 0): [2.0]}, accuracy=None).summary().to_dict("records")
    assert row["mean_return"] == 2.0
    unknown = ("standard_error", "ci95_low", "seeds_ci95_high", "std_return", "mode_accuracy", "previous_k")
    assert all(pd.isna(row[name]) for name in unknown)


def test_rows_that_are_not_wanted_do_not_count(tmp_path: Path) -> None:
    returns = random_returns([1, 2, 3], 4)
    wanted = {key: drawn for key, drawn in returns.items() if key[1] != 2 and key[2] < 2}
    found = committed(tmp_path / "all", returns).summary(lambda k, seed: (k != 2) & (seed < 2))
    pd.testing.assert_frame_equal(found, committed(tmp_path / "wanted", wanted).summary())
    assert found["previous_k"].fillna(0).tolist() == [0, 1]


def test_what_is_published_is_what_was_committed(tmp_path: Path) -> None:
    # More seeds than the table of evaluations has rows in a group.
    store = committed(tmp_path, random_returns([1, 2], EVALUATIONS.rows_per_chunk + 10, n_rollouts=2))
    committed_rows = store.summary()
    store.publish()
    published = pd.read_parquet(tmp_path / "summary")
    pd.testing.assert_frame_equal(published, committed_rows)
    pd.testing.assert_frame_equal(published, store.summary())
    assert published["n_pairs"].fillna(0).tolist() == [0, 2 * (EVALUATIONS.rows_per_chunk + 10)]


def test_the_published_summary_keeps_up_with_the_evaluations(tmp_path: Path) -> None:
    store = committed(tmp_path, {("s", 1, 0): [1.0, 3.0]})
    store.publish()
    committed(tmp_path, {("s", 1, 1): [8.0, 8.0]})
    store_in(tmp_path).publish()
    assert pd.read_parquet(tmp_path / "summary")[["n_seeds", "mean_return"]].to_numpy().tolist() == [[2, 5.0]]


def test_a_folder_without_evaluations_has_an_empty_summary(tmp_path: Path) -> None:
    assert store_in(tmp_path).summary().empty


def uneven_evaluations() -> pa.Table:
    """Return evaluations of settings with other k, seeds and numbers of rollouts each, sorted by their key."""
    rng = np.random.default_rng(3)
    rows = [
        {
            "sweep": f"of {setting_id}",
            "setting_id": setting_id,
            "k": k,
            "train_seed": 0,
            "seed": seed,
            "mode_accuracy": None if rng.random() < 0.3 else float(rng.random()),
            "returns": (100 * rng.normal(size=rng.choice([1, 2, 9, 150, 150, 150]))).tolist(),
        }
        for setting_id in "abcde"
        for k in range(1, 9)
        if rng.random() < 0.8
        for seed in range(rng.integers(1, 12))
        if rng.random() < 0.8
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema([EVALUATIONS.schema.field(name) for name in EVALUATION_COLUMNS]))


def one_by_one(table: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of the summary of some evaluations, each by itself."""
    points: dict[tuple[str, int], dict[int, dict[str, Any]]] = {}
    for row in table.to_pylist():
        points.setdefault((row["setting_id"], row["k"]), {})[row["seed"]] = row
    means = {key: float(np.mean(np.concatenate([row["returns"] for row in of.values()]))) for key, of in points.items()}
    found = []
    before: tuple[str, int] | None = None
    for (setting_id, k), of_point in points.items():
        returns = {seed: np.array(row["returns"]) for seed, row in of_point.items()}
        seeds = np.array([drawn.mean() for drawn in returns.values()])
        known = [row["mode_accuracy"] for row in of_point.values() if row["mode_accuracy"] is not None]
        row = {
            "sweep": f"of {setting_id}",
            "setting_id": setting_id,
            "k": k,
            "n_seeds": len(seeds),
            "n_rollouts": sum(map(len, returns.values())),
            "mean_return": means[setting_id, k],
            "std_return": float(seeds.std(ddof=1)) if len(seeds) > 1 else None,
            "min_return": float(seeds.min()),
            "max_return": float(seeds.max()),
            "mode_accuracy": float(np.mean(known)) if known else None,
            "is_best": means[setting_id, k] == max(mean for key, mean in means.items() if key[0] == setting_id),
        }
        row |= interval("", np.concatenate(list(returns.values()))) | interval("seeds_", seeds)
        if before is not None and before[0] == setting_id:
            others = points[before]
            pairs = [
                drawn - np.array(others[seed]["returns"])
                for seed, drawn in returns.items()
                if seed in others and len(others[seed]["returns"]) == len(drawn)
            ]
            row |= {"previous_k": before[1], "n_pairs": sum(map(len, pairs))}
            if pairs:
                row |= {"difference": estimate_mean(np.concatenate(pairs)).mean}
                row |= interval("difference_", np.concatenate(pairs))
        found.append(row)
        before = (setting_id, k)
    return found


def interval(prefix: str, sample: np.ndarray) -> dict[str, float | None]:
    estimate = estimate_mean(sample)
    names = ("standard_error", "ci95_low", "ci95_high")
    return {f"{prefix}{name}": getattr(estimate, name) if len(sample) > 1 else None for name in names}


@pytest.mark.parametrize("size", [1, 2, 7, 50, 10**6])
def test_many_points_together_are_to_the_bit_what_each_is_alone(size: int) -> None:
    table = uneven_evaluations()
    chunks = [table.slice(start, size) for start in range(0, len(table), size)]
    assert told_alone(summary_rows(chunks, [])) == one_by_one(table)
    few = table.filter(pa.array([row["seed"] in (1, 4) for row in table.to_pylist()]))
    assert told_alone(summary_rows(chunks, [], lambda _k, seed: np.isin(seed, [1, 4]))) == one_by_one(few)


def told_alone(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows without the columns about several trainings, which are empty or those of the only one."""
    for row in rows:
        assert row["n_train_seeds"] == 1
        assert (
            list(row["training_returns"]) == [row["mean_return"]] == [row["trainings_mean"]] == [row["trainings_max"]]
        )
        assert row["training_differences"] == [row.get("difference")]
        unknown = ("trainings_ci95_low", "trainings_std", "between_trainings_std", "between_trainings_share")
        assert all(row[name] is None for name in unknown)
    about = ("train", "between_", "n_train")
    return [{name: value for name, value in row.items() if not name.startswith(about)} for row in rows]


def with_trainings(n_trainings: int) -> pa.Table:
    """Return evaluations of two settings, each trained several times, sorted by their key."""
    rng = np.random.default_rng(5)
    rows = [
        {
            "sweep": "t",
            "setting_id": setting_id,
            "k": k,
            "train_seed": train_seed,
            "seed": seed,
            "mode_accuracy": float(rng.random()),
            "returns": rng.normal(10 * train_seed + k, size=4).tolist(),
        }
        for setting_id in "ab"
        for k in (1, 3, 4)
        for train_seed in range(n_trainings)
        for seed in range(3)
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema([EVALUATIONS.schema.field(name) for name in EVALUATION_COLUMNS]))


@pytest.mark.parametrize("size", [1, 5, 10**6])
def test_of_several_trainings_each_is_summed_up_first(size: int) -> None:
    table = with_trainings(4)
    chunks = [table.slice(start, size) for start in range(0, len(table), size)]
    rows = {(row["setting_id"], row["k"]): row for row in summary_rows(chunks, [])}
    drawn: dict[tuple[str, int], dict[int, list[list[float]]]] = {}
    for row in table.to_pylist():
        drawn.setdefault((row["setting_id"], row["k"]), {}).setdefault(row["train_seed"], []).append(row["returns"])
    for (setting_id, k), row in rows.items():
        of_point = np.array(list(drawn[setting_id, k].values()))  # (trainings, seeds, rollouts)
        each = of_point.mean(axis=(1, 2))
        estimate = estimate_mean(each)
        assert (row["n_train_seeds"], row["n_seeds"], row["n_rollouts"], row["train_seeds"]) == (4, 3, 48, [0, 1, 2, 3])
        np.testing.assert_allclose(row["training_returns"], each)
        assert row["mean_return"] == pytest.approx(each.mean()) == pytest.approx(row["trainings_mean"])
        assert (row["trainings_ci95_low"], row["trainings_ci95_high"]) == pytest.approx(
            (estimate.ci95_low, estimate.ci95_high)
        )
        assert row["trainings_median"] == pytest.approx(np.median(each))
        within = of_point.mean(axis=2).var(axis=1, ddof=1).mean()
        assert row["std_return"] == pytest.approx(within**0.5) == pytest.approx(row["between_seeds_std"])
        between = each.var(ddof=1) - within / 3
        assert row["between_trainings_std"] == pytest.approx(between**0.5)
        assert row["between_trainings_share"] == pytest.approx(between / (between + within))
        assert row["between_seeds_share"] == pytest.approx(within / (between + within))
        standard_error = (of_point.reshape(4, 12).var(axis=1, ddof=1) / 12).sum() ** 0.5 / 4
        assert row["standard_error"] == pytest.approx(standard_error)
        if k > 1:
            before = np.array(list(drawn[setting_id, {3: 1, 4: 3}[k]].values())).mean(axis=(1, 2))
            np.testing.assert_allclose(row["training_differences"], each - before)
            assert row["difference_ci95_high"] == pytest.approx(estimate_mean(each - before).ci95_high)
            assert row["n_pairs"] == 48


def test_exact_returns_count_where_all_trainings_have_one() -> None:
    exact = [
        {
            "sweep": "t",
            "setting_id": "a",
            "k": 1,
            "train_seed": number,
            "exact_return": 5.0 + number,
            "exact_bound": 1e-9,
        }
        for number in range(3)
    ]
    rows = {(row["setting_id"], row["k"]): row for row in summary_rows([with_trainings(3)], exact)}
    assert (rows["a", 1]["exact_return"], rows["a", 1]["trainings_std"]) == (6.0, 1.0)
    np.testing.assert_array_equal(rows["a", 1]["training_returns"], [5.0, 6.0, 7.0])
    some = {(row["setting_id"], row["k"]): row for row in summary_rows([with_trainings(3)], exact[:2])}
    assert some["a", 1].get("exact_return") is None
    assert summary_rows([with_trainings(3)], exact, n_train_seeds=2)[0]["exact_return"] == 5.5
    (alone,) = summary_rows([], exact)
    assert (alone["n_rollouts"], alone["trainings_mean"], alone["between_trainings_share"]) == (0, 6.0, 1.0)


def exact_rows(returns: dict[int, list[float | None]]) -> list[dict[str, Any]]:
    """Return rows of exact returns by k, one for each training that has one."""
    about = {"sweep": "t", "setting_id": "a", "exact_bound": 1e-9}
    return [
        {**about, "k": k, "train_seed": number, "exact_return": earned}
        for k, of_k in returns.items()
        for number, earned in enumerate(of_k)
        if earned is not None
    ]


@pytest.mark.parametrize("has_rollouts", [False, True])
def test_exact_returns_of_several_trainings_are_compared_with_the_next_smaller_k(has_rollouts: bool) -> None:
    exact = exact_rows({1: [5.0, 6.0, 8.0], 3: [7.0, 7.0, 11.0], 4: [7.5, 7.0, 9.0]})
    chunks = [with_trainings(3)] if has_rollouts else []
    rows = {row["k"]: row for row in summary_rows(chunks, exact) if row["setting_id"] == "a"}
    assert rows[1].get("difference") is None
    assert rows[1].get("previous_k") is None
    for k, before, each in ((3, 1, [2.0, 1.0, 3.0]), (4, 3, [0.5, 0.0, -2.0])):
        found = estimate_mean(each)
        assert (rows[k]["previous_k"], rows[k]["training_differences"]) == (before, each)
        assert (rows[k]["difference"], rows[k]["difference_standard_error"]) == (found.mean, found.standard_error)
        assert (rows[k]["difference_ci95_low"], rows[k]["difference_ci95_high"]) == (found.ci95_low, found.ci95_high)
        assert rows[k].get("n_pairs") == (36 if has_rollouts else None)


def test_trainings_are_compared_with_themselves_where_some_are_missing() -> None:
    exact = exact_rows({1: [5.0, None, 8.0], 3: [None, 7.0, 11.0], 4: [7.5, None, None]})
    rows = {row["k"]: row for row in summary_rows([], exact)}
    assert (rows[3]["train_seeds"], rows[3]["training_differences"], rows[3]["difference"]) == ([1, 2], [None, 3.0], 3)
    assert rows[3]["difference_ci95_low"] is None
    assert (rows[4]["training_differences"], rows[4].get("difference")) == ([None], None)
    missing = exact_rows({1: [5.0, 6.0, None], 3: [7.0, 7.0, 11.0]})
    both = {row["k"]: row for row in summary_rows([with_trainings(3)], missing) if row["setting_id"] == "a"}
    alone = {row["k"]: row for row in summary_rows([with_trainings(3)], []) if row["setting_id"] == "a"}
    assert both[3]["difference"] == alone[3]["difference"]  # of the rollouts
    assert both[3]["training_differences"] == alone[3]["training_differences"]


def test_exact_returns_of_a_single_training_are_compared_where_it_has_no_rollouts() -> None:
    exact = exact_rows({1: [5.0], 3: [7.0]})
    _, alone = summary_rows([], exact)
    assert (alone["previous_k"], alone["difference"], alone["training_differences"]) == (1, 2.0, [2.0])
    assert alone["difference_ci95_low"] is None
    names = [name for name in SUMMARY.schema.names if name.startswith(("difference", "training_diff", "previous"))]
    by_rollouts = [row for row in summary_rows([with_trainings(1)], []) if row["setting_id"] == "a"]
    both = [row for row in summary_rows([with_trainings(1)], exact) if row["setting_id"] == "a"]
    assert [[row.get(name) for name in names] for row in both] == [
        [row.get(name) for name in names] for row in by_rollouts
    ]


def test_chunks_grow_until_they_are_as_large_as_is_asked_for() -> None:
    n_rows = 20 * EVALUATIONS.rows_per_chunk
    blank: dict[str, Any] = dict.fromkeys(EVALUATIONS.schema.names)
    rows = [blank | {"setting_id": "s", "k": 1, "seed": seed, "returns": [float(seed)]} for seed in range(n_rows)]
    part = pa.Table.from_pylist(rows, schema=EVALUATIONS.schema)
    merged = MergedTable(EVALUATIONS, None, {"all": part})
    chunks = list(merged.chunks(EVALUATION_COLUMNS, 10**9))
    assert [len(chunk) // EVALUATIONS.rows_per_chunk for chunk in chunks] == [1, 8, 11]
    assert pa.concat_tables(chunks).equals(part.select(EVALUATION_COLUMNS))
    assert {len(chunk) for chunk in merged.chunks(EVALUATION_COLUMNS)} == {EVALUATIONS.rows_per_chunk}
