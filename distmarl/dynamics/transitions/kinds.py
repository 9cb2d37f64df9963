"""The kinds of transitions that there are: a file and a line each."""

from __future__ import annotations

from distmarl.dynamics.transitions.base import TransitionRecord
from distmarl.dynamics.transitions.exact import EXACT
from distmarl.dynamics.transitions.rounded import ROUNDED
from distmarl.dynamics.transitions.sampled import SAMPLED
from distmarl.model.checks import check_choice

TRANSITIONS: dict[str, TransitionRecord] = {kind.name: kind for kind in (SAMPLED, EXACT, ROUNDED)}


def find_transitions(name: str) -> TransitionRecord:
    """Return the kind of transitions of a name, or raise InvalidArgumentError where there is none."""
    check_choice("transitions", name, TRANSITIONS)
    return TRANSITIONS[name]
