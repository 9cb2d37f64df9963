"""Finding out whether a Ray cluster can be joined before it is, and saying why not."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

from distmarl.errors import ExecutorError
from distmarl.sweep.clusters import trial

# Every try with a wrong token takes a second.
VARIABLES = {"RAY_NUM_REDIS_GET_RETRIES": "3"}
# Belongs to the job that we may be: a trial is another one, without its luggage.
JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
TOKEN_TROUBLE = ("AuthToken", "AuthenticationError", "Unauthenticated", "Token authentication")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster to join.

    Attributes
    ----------
    address : str
        Where, as ``ray.init`` takes it.
    source : str
        Who says so: ``--address`` or ``RAY_ADDRESS``.
    timeout_s : float
        When to give up.
    """

    address: str
    source: str
    timeout_s: float

    def __str__(self) -> str:
        return f"the Ray cluster at {self.address} (from {self.source})"


def try_to_join(cluster: Cluster, tell: Callable[[str], None]) -> None:
    """Make sure that a cluster can be joined; ask it with a token where it wants one and we have not said whether.

    Raises
    ------
    ExecutorError
        When it cannot be, or not in time.
    """
    tell(f"joining {cluster}, for {cluster.timeout_s:g} s at most")
    fault = _try(cluster)
    if fault and _is_about_tokens(fault) and not os.environ.get("RAY_AUTH_MODE"):
        with_token = _try(cluster, RAY_AUTH_MODE="token")
        if with_token is None:
            os.environ["RAY_AUTH_MODE"] = "token"
            tell(f"{cluster} asks for a token: going on with the one that there is, as with RAY_AUTH_MODE=token")
            return
        fault = with_token if _is_about_tokens(with_token) else fault
    if fault:
        raise ExecutorError(f"cannot join {cluster}: {fault.rstrip('.')}. {_remedy(fault, cluster)}")


def _try(cluster: Cluster, **variables: str) -> str | None:
    """Try to join in a process of its own; return what came in the way."""
    environment = {name: value for name, value in os.environ.items() if name != JOB_VARIABLE}
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(
            [sys.executable, trial.__file__, cluster.address],
            env={**VARIABLES, **environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,  # Ctrl-C is heard here
        ) as process:
            try:
                code, late = process.wait(cluster.timeout_s), ""
            except subprocess.TimeoutExpired:
                code, late = None, f", for {cluster.timeout_s:g} s (--join-timeout)"
            finally:
                process.kill()
        if code == 0:
            return None
        said.seek(0)
        lines = [line for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith("[")]  # Ray's log has the time in brackets
    unsaid = "nothing was heard of it" if code is None else f"the attempt ended with exit code {code}"
    return (own or lines or [unsaid])[-1].rstrip(".") + late


def _is_about_tokens(fault: str) -> bool:
    return any(word in fault for word in TOKEN_TROUBLE)


def _remedy(fault: str, cluster: Cluster) -> str:
    """Return what a user can do about it."""
    if _is_about_tokens(fault):
        mode = os.environ.get("RAY_AUTH_MODE")
        now = f"RAY_AUTH_MODE is {mode}" if mode else "RAY_AUTH_MODE is not set"
        return (
            f"If the cluster asks for a token ({now}), set RAY_AUTH_MODE=token and give that cluster's token by "
            "RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token; if it was started without, unset RAY_AUTH_MODE"
        )
    ways = {"RAY_ADDRESS": "unset RAY_ADDRESS", "--address": "leave out --address"}
    return (
        "Is it running, can this machine reach it, and has it the same versions of Ray and Python? Name another by "
        f"--address, or {ways[cluster.source]} to start a Ray of this machine; --executor serial needs none. For a "
        "cluster that asks for a token, set RAY_AUTH_MODE=token"
    )
