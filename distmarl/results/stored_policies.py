"""Stored policies as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distmarl.errors import ResultsError
from distmarl.results.snapshot import Snapshot
from distmarl.results.tables import CANDIDATES, CHOICES, GLOBAL_POLICIES, LOCAL_POLICIES, TRAININGS


def read_local_policy(snapshot: Snapshot, setting_id: str, train_seed: int = 0) -> NDArray[np.float64]:
    """Return the local policy that every k of a setting's training shares.

    Returns
    -------
    ndarray, shape (G, L, A_l)

    Raises
    ------
    ResultsError
        When it has not been trained yet.
    """
    rows = snapshot.rows(LOCAL_POLICIES, setting_id=setting_id, train_seed=train_seed)
    if not rows:
        where = f"{setting_id}{_of_training(train_seed)}"
        raise ResultsError(f"{snapshot.folder}: the local policy of the setting {where} has not been trained yet")
    shape = [rows[-1][name] + 1 for name in ("s_g", "s_l", "a_l")]  # rows are sorted
    return np.array([row["probability"] for row in rows]).reshape(shape)


def read_candidates(snapshot: Snapshot, setting_id: str, train_seed: int = 0) -> list[dict[str, Any]]:
    """Return the local policies that a training's starts led to: rows with the array ``local_policy``."""
    rows = snapshot.rows(CANDIDATES, setting_id=setting_id, train_seed=train_seed)
    return [{**row, "local_policy": _local_policy(row)} for row in rows]


def read_chosen_policies(
    snapshot: Snapshot, setting_id: str, ks: Sequence[int], train_seed: int = 0
) -> dict[int, NDArray[np.float64]]:
    """Return the local policies that were chosen for single subsample sizes, by k.

    Raises
    ------
    ResultsError
        When one of them has not been chosen.
    """
    rows = snapshot.rows(CHOICES, setting_id=setting_id, train_seed=train_seed, task="local_policy")
    chosen = {row["k"]: _local_policy(row) for row in rows}
    for k in ks:
        if k not in chosen:
            raise ResultsError(
                f"{snapshot.folder}: no local policy of the setting {setting_id}{_of_training(train_seed)} has been "
                f"chosen for k={k} alone"
            )
    return {k: chosen[k] for k in ks}


def _local_policy(row: Mapping[str, Any]) -> NDArray[np.float64]:
    return np.array(row["probabilities"], dtype=np.float64).reshape(row["shape"])


def _of_training(train_seed: int) -> str:
    """Return how to name a training in a message; the first is not named."""
    return f", train_seed={train_seed}," if train_seed else ""


def read_global_policies(
    snapshot: Snapshot, setting_id: str, ks: Sequence[int], train_seed: int = 0
) -> dict[int, NDArray[np.int32]]:
    """Return the global policies of a setting's training for some subsample sizes.

    Returns
    -------
    dict of int to ndarray, shape (G, C)
        Actions over the count vectors in lexicographic order, by k.

    Raises
    ------
    ResultsError
        When one of them has not been trained; the message says which have been.
    """
    actions: dict[int, list[list[int]]] = {k: [] for k in ks}
    for row in snapshot.rows(GLOBAL_POLICIES, setting_id=setting_id, k=list(ks), train_seed=train_seed):
        actions[row["k"]].append(row["actions"])
    for k in ks:
        if not actions[k]:
            done = snapshot.keys(TRAININGS)
            trained = sorted(other for name, other, number in done if (name, number) == (setting_id, train_seed))
            known = f"trained are k = {', '.join(map(str, trained))}" if trained else "none has been trained yet"
            where = f"{setting_id}{_of_training(train_seed)}"
            raise ResultsError(f"{snapshot.folder}: the setting {where} has no global policy for k={k}; {known}")
    return {k: np.array(rows, dtype=np.int32) for k, rows in actions.items()}
