"""What is found from each of several starts, and the best pair among all of that.

From each start there are up to three candidates: the start itself, where the alternation of best responses ended, and
where the team ascent ended, if the game that it climbs has room for several agents
(:func:`distmarl.learning.best.ascent.has_ascent`). Each is a local policy; the best pair is the one that earns most
with its answer (:mod:`distmarl.learning.best.answers`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from distmarl.learning.alternating import AlternatingResult, alternate, joint_measure
from distmarl.learning.best.answers import choose
from distmarl.learning.best.ascent import ascend, has_ascent
from distmarl.learning.best.starts import is_papers, start_policy
from distmarl.learning.g_learn import learn_global
from distmarl.learning.proposals import ProposalOutcome, global_certificate
from distmarl.model.arrays import Array
from distmarl.model.environment import Environment
from distmarl.model.options import Alternating, Evaluation, GlobalAgent, LocalAgent
from distmarl.model.random_streams import Seed

CandidateKind: TypeAlias = Literal["start", "ascent", "alternation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """The sections of a sweep file that an alternation is made of."""

    global_agent: GlobalAgent
    local_agent: LocalAgent
    alternating: Alternating
    evaluation: Evaluation

    @property
    def by_name(self) -> dict[str, Any]:
        """The sections as keyword arguments."""
        return {name: getattr(self, name) for name in ("global_agent", "local_agent", "alternating", "evaluation")}


@dataclass(frozen=True, slots=True, eq=False)
class StartResult:
    """What was found from a start.

    Attributes
    ----------
    start : str
        Its name.
    history : tuple of ProposalOutcome
        Every proposal.
    local_policies : dict of str to ndarray
        The candidates: ``start``, ``ascent`` and ``alternation``, as far as there are such; some may be equal.
    """

    start: str
    history: tuple[ProposalOutcome, ...]
    local_policies: dict[CandidateKind, Array] = field(repr=False)


def search_from(
    env: Environment,
    name: str,
    *,
    k: int,
    seed: Seed,
    sections: Sections,
    n_threads: int = 1,
    on_iteration: Callable[[ProposalOutcome], None] | None = None,
) -> StartResult:
    """Alternate from a start and, where the options ask for it, climb from it.

    The paper's alternation from the uniform policy is left as it is: its pair is then the only candidate.
    """
    start, alternating = start_policy(env, name, seed), sections.alternating
    history: list[ProposalOutcome] = []
    local_policies: dict[CandidateKind, Array] = {}
    measure = joint_measure(env, k=k, seed=seed, alternating=alternating, evaluation=sections.evaluation)

    def propose(kind: Literal["start", "ascent"], local_policy: Array) -> None:
        local_policies[kind] = local_policy
        found = learn_global(env, local_policy, k=k, options=sections.global_agent, seed=seed, n_threads=n_threads)
        value = measure(found.policy, local_policy)
        kept = all(value >= outcome.joint_value for outcome in history)
        history.append(ProposalOutcome(0, kind, value, float("nan"), kept, None, **global_certificate(found)))

    if not is_papers(alternating):
        if alternating.update == "pair":
            propose("start", start)
        else:  # which values the start first of all
            local_policies["start"] = start
        if alternating.ascent and has_ascent(env):
            propose("ascent", ascend(env, start).local_policy)
    found = alternate(
        env,
        k=k,
        seed=seed,
        initial_local_policy=start,
        n_threads=n_threads,
        on_iteration=on_iteration,
        **sections.by_name,
    )
    local_policies["alternation"] = found.local_policy
    return StartResult(
        name,
        tuple(replace(outcome, start=name) for outcome in (*history, *found.history)),
        local_policies,
    )


def best_of_starts(
    env: Environment,
    found: Sequence[StartResult],
    *,
    k: int,
    seed: Seed,
    global_agent: GlobalAgent,
    n_threads: int = 1,
) -> AlternatingResult:
    """Return the candidate that earns most with G-LEARN's answer at k."""
    owners: dict[bytes, tuple[str, Array]] = {}
    for result in found:
        for policy in result.local_policies.values():
            owners.setdefault(policy.tobytes(), (result.start, policy))
    chosen = choose(
        env,
        [policy for _, policy in owners.values()],
        k=k,
        seed=seed,
        answer="surrogate",
        options=global_agent,
        n_threads=n_threads,
    )
    history = tuple(outcome for result in found for outcome in result.history)
    start, local_policy = list(owners.values())[chosen.number]
    return AlternatingResult(chosen.global_policy, local_policy, chosen.worth.value, history, start)
