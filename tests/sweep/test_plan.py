"""What a plan knows before anything runs."""

from __future__ import annotations

from distmarl.learning.exact_return import population_bytes
from distmarl.sweep.plan import training_bytes
from tests.sweep.sweeps import TINY, changed, plan_of


def test_exact_joint_values_count_where_memory_is_told() -> None:
    crowd = changed(TINY, environment={"n_agents": 50})
    (job,) = plan_of(crowd).jobs
    (exact,) = plan_of(changed(crowd, alternating={"joint_value": "exact"})).jobs
    assert training_bytes(exact, 1) == training_bytes(job, 1)
    assert training_bytes(exact, 3) == population_bytes(job.environment) > training_bytes(job, 3)
