"""The examples in the docstrings of the notebook API."""

from __future__ import annotations

import doctest
import inspect

import pytest

import distmarl

PUBLIC = {name: getattr(distmarl, name) for name in distmarl.__all__}
MADE = (distmarl.Environment, distmarl.Grid, distmarl.ContinuousPair)
# What people call: the functions, and what they make themselves. Results are made by these.
CALLED = [name for name, item in PUBLIC.items() if inspect.isfunction(item) or item in MADE]


@pytest.mark.parametrize("name", CALLED)
def test_every_public_function_has_an_example_that_runs(name):
    run_examples(PUBLIC[name], name)


def run_examples(item, name):
    """Run the examples of a docstring, of which there must be some."""
    (test,) = doctest.DocTestFinder(recurse=False).find(item, name, globs={})
    assert test.examples, f"{name} has no Examples"
    told = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=told.append)
    assert not result.failed, "".join(told)


def test_the_functions_of_the_notebook_are_among_them():
    assert {"robots", "g_learn", "l_learn", "train_alternating", "evaluate", "nash_gap", "Environment"} <= set(CALLED)
