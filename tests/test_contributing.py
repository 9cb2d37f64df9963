"""What is added is a file of its own and a line in one list, as CONTRIBUTING says: no other file knows of it."""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

import distmarl
from distmarl.dynamics.transitions import kinds as transition_list
from distmarl.games import lookup as game_list
from distmarl.report import catalogue as figure_list
from distmarl.study import kinds as kind_list
from tests.conftest import REPOSITORY

PACKAGE = Path(distmarl.__file__).parent
# Beside the list that loops over them: the public names, and the values that are always computed exactly.
ALSO = {
    "robots": {"distmarl"},
    "exact": {
        "distmarl.equilibrium",
        "distmarl.examine",
        "distmarl.equilibrium.ceilings",
        "distmarl.learning",
        "distmarl.learning.best",
        "distmarl.values",
    },
}


@functools.cache
def importers() -> Mapping[str, set[str]]:
    """Return the modules of the package that import from each of its modules."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                found[node.module].add(name)
    return found


def module_of(function: object) -> str:
    module = inspect.getmodule(function)
    assert module is not None
    return module.__name__


RECORDS: list[tuple[str, str, ModuleType]] = [
    *((name, module_of(game), game_list) for name, game in game_list.GAMES.items()),
    *((name, module_of(kind.build), transition_list) for name, kind in transition_list.TRANSITIONS.items()),
    *((name, module_of(kind.run), kind_list) for name, kind in kind_list.KINDS.items()),
    *((name, module_of(figure.draw), figure_list) for name, figure in figure_list.FIGURES.items()),
]


@pytest.mark.parametrize(("name", "module", "its_list"), RECORDS, ids=[name for name, *_ in RECORDS])
def test_only_its_list_knows_of_a_record(name: str, module: str, its_list: ModuleType) -> None:
    others = importers()[module] - {its_list.__name__}
    allowed = ALSO.get(name, set())
    assert not [other for other in others if other.rpartition(".")[0] not in allowed and other not in allowed]
    assert its_list.__name__ in importers()[module]


def test_the_files_that_contributing_names_are_there() -> None:
    text = (REPOSITORY / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?:a|the) .*\|$", text, flags=re.MULTILINE)
    assert len(rows) == 5
    for row in rows:
        paths = re.findall(r"`(distmarl/[\w/<>.]+)`", row)
        assert 1 <= len([path for path in paths if "<" not in path]) <= 3, (
            "a list and, of a kind, its table and options"
        )
        assert all((REPOSITORY / path).exists() for path in paths if "<" not in path)
        assert all((REPOSITORY / path).parent.is_dir() for path in paths)
