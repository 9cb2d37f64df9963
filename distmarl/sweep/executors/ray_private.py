"""Ray's private names, all that are used: its key-value store, which try of a task this is, where workers look first.

Ray 2.52 to 2.60 have them, and nothing public in their place: its state API needs the dashboard, and an actor that
keeps notes is one process more, lost with its node. So a Ray may come that has them no longer. Sweeps run there all
the same; :func:`shortcomings` tells what is lost.
"""

from __future__ import annotations

import logging
from typing import Any

import ray

NAMESPACE = b"distmarl"


class JobConfig(ray.job_config.JobConfig):
    """A job whose workers do not look for modules in the driver's current folder before everything that is installed.

    Ray adds that folder unless the job brings one of its own; a Ray that does not ask this adds it.
    """

    def _runtime_env_has_working_dir(self) -> bool:
        return True


def put(key: str, text: str) -> None:
    """Store a text, which everybody in the cluster can read."""
    _store()._internal_kv_put(key, text, namespace=NAMESPACE)


def get(key: str) -> str | None:
    """Return a text, if there is one."""
    found = _store()._internal_kv_get(key, namespace=NAMESPACE)
    return None if found is None else found.decode()


def keys(prefix: str) -> list[str]:
    """Return the keys that begin so."""
    return [key.decode() for key in _store()._internal_kv_list(prefix, namespace=NAMESPACE)]


def delete(key: str, *, by_prefix: bool = False) -> None:
    """Remove a text, or all whose keys begin so."""
    _store()._internal_kv_del(key, del_by_prefix=by_prefix, namespace=NAMESPACE)


def attempt() -> int | None:
    """Return how often Ray has tried the running task before; None if this Ray does not tell."""
    number = _attempt_number()
    return None if number is None else int(number())


def hush() -> None:
    """Keep Ray from saying at every start that token authentication is on, which is as it should be."""
    logging.getLogger("ray._private.authentication.authentication_token_setup").setLevel(logging.ERROR)


def keeps_notes() -> bool:
    """Return whether the running Ray has the key-value store, by using it in every way that is used."""
    probe = "probe"
    try:
        put(probe, probe)
        is_there = (get(probe), keys(probe)) == (probe, [probe])
        delete(probe)
        delete(probe, by_prefix=True)
    except Exception:  # whatever another Ray makes of private names
        return False
    return is_there


def shortcomings(*, notes_are_kept: bool) -> str | None:
    """Return what the running Ray does not tell, and what is lost by that; None if it tells everything."""
    lost = []
    if not notes_are_kept:
        lost.append(
            "which tasks run, so that one which does not heed runner.task_timeout_s goes on, and a task whose process "
            "is lost fails without its host and its log"
        )
    if _attempt_number() is None:
        lost.append("how often a task was tried, so that attempt is null in the table timings")
    return f"Ray {ray.__version__} does not tell {'; nor '.join(lost)}" if lost else None


def _store() -> Any:
    from ray.experimental import internal_kv

    return internal_kv


def _attempt_number() -> Any:
    """Return the function that tells the number of the running task's try, if there is one."""
    found: Any = ray
    for name in ("_private", "worker", "global_worker", "core_worker", "get_current_task_attempt_number"):
        found = getattr(found, name, None)
    return found
