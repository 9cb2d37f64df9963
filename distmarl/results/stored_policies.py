"""Stored policies as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from distmarl.errors import ResultsError
from distmarl.results.snapshot import Snapshot
from distmarl.results.tables import GLOBAL_POLICIES, LOCAL_POLICIES, TRAININGS


def read_local_policy(snapshot: Snapshot, setting_id: str) -> NDArray[np.float64]:
    """Return the local policy that every k of a setting shares.

    Returns
    -------
    ndarray, shape (G, L, A_l)

    Raises
    ------
    ResultsError
        When it has not been trained yet.
    """
    rows = snapshot.rows(LOCAL_POLICIES, setting_id=setting_id)
    if not rows:
        raise ResultsError(f"{snapshot.folder}: the local policy of the setting {setting_id} has not been trained yet")
    shape = [rows[-1][name] + 1 for name in ("s_g", "s_l", "a_l")]  # rows are sorted
    return np.array([row["probability"] for row in rows]).reshape(shape)


def read_global_policy(snapshot: Snapshot, setting_id: str, k: int) -> NDArray[np.int32]:
    """Return the global policy of a setting for one subsample size.

    Returns
    -------
    ndarray, shape (G, C)
        Actions over the count vectors in lexicographic order.

    Raises
    ------
    ResultsError
        When it has not been trained; the message says which have been.
    """
    return read_global_policies(snapshot, setting_id, [k])[k]


def read_global_policies(snapshot: Snapshot, setting_id: str, ks: Sequence[int]) -> dict[int, NDArray[np.int32]]:
    """Return the global policies of a setting for some subsample sizes.

    The table is read once, which may lie far away.

    Raises
    ------
    ResultsError
        When one of them has not been trained; the message says which have been.
    """
    actions: dict[int, list[list[int]]] = {k: [] for k in ks}
    for row in snapshot.rows(GLOBAL_POLICIES, setting_id=setting_id, k=list(ks)):
        actions[row["k"]].append(row["actions"])
    for k in ks:
        if not actions[k]:
            trained = sorted(other for name, other in snapshot.keys(TRAININGS) if name == setting_id)
            known = f"trained are k = {', '.join(map(str, trained))}" if trained else "none has been trained yet"
            raise ResultsError(f"{snapshot.folder}: the setting {setting_id} has no global policy for k={k}; {known}")
    return {k: np.array(rows, dtype=np.int32) for k, rows in actions.items()}
