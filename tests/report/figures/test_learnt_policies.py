"""The figure of the policies shows what the tables hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from distmarl.errors import InvalidArgumentError
from distmarl.model.counts import count_vectors
from distmarl.report.figures.drawing.crowds import crowd_actions, leaders
from distmarl.report.figures.learnt_policies import MAX_STATES, policy
from tests.report.figures.test_every_figure import named_things
from tests.report.results_folders import global_policy_rows, local_policy_rows


def frames(
    k_values: tuple[int, ...] = (1, 4), names: tuple[str, ...] = ("only",), n_global_states: int = 2
) -> tuple[pd.DataFrame, pd.DataFrame]:
    local = [row for name in names for row in local_policy_rows(name, n_global_states)]
    seen = [row for name in names for k in k_values for row in global_policy_rows(name, k, n_global_states)]
    return pd.DataFrame(local), pd.DataFrame(seen)


def drawn(*tables: pd.DataFrame, **options: Any) -> Figure:
    figure = policy(*tables, **options)
    assert figure is not None
    return figure


def image(figure: Figure, number: int) -> np.ndarray:
    images = [one for axes in figure.axes for one in axes.images]
    return np.ma.filled(images[number].get_array(), np.nan)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for sub in figure.subfigs for text in sub.texts]


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("width", [2.5, 3.3])
def test_nothing_is_cut_in_a_column_of_a_paper(width: float) -> None:
    figure = drawn(*frames((1, 2, 4, 6)), is_steered=True, width=width)
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    for text in named_things(figure):
        box = text.get_window_extent()
        assert figure.bbox.x0 - 1 <= box.x0 <= box.x1 <= figure.bbox.x1 + 1, text.get_text()
    *_, shares = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    assert shares.bbox.width > figure.bbox.width / 2


def test_types_of_agents_are_named() -> None:
    local, seen = frames()
    n_states = local["s_l"].nunique()
    typed = drawn(local, seen, local_types=["fast", *["slow"] * (n_states - 1)])
    assert [label for label in labels(typed) if label in ("fast", "slow")][:2] == ["fast", "slow"]
    assert not {"fast", "slow"} & {*labels(drawn(local, seen))}


@pytest.mark.parametrize(("k", "n_states"), [(1, 2), (4, 3), (7, 5)])
def test_leaders_are_those_of_the_count_vectors(k: int, n_states: int) -> None:
    leader, leading = leaders(k, n_states)
    for vector, state, count in zip(count_vectors(k, n_states), leader, leading, strict=True):
        assert count == vector.max()
        assert state == (vector.argmax() if (vector == count).sum() == 1 else -1)


def test_crowds_are_counted() -> None:
    rng = np.random.default_rng(0)
    vectors = count_vectors(5, 3)
    actions = rng.integers(0, 4, size=(2, len(vectors)))
    actions[0, 0] = 3
    counts = crowd_actions(actions, 5, 3)
    expected = np.zeros((2, 3, 6, 4), dtype=int)
    for s_g in range(2):
        for vector, action in zip(vectors, actions[s_g], strict=True):
            if (vector == vector.max()).sum() == 1:
                expected[s_g, vector.argmax(), vector.max(), action] += 1
    np.testing.assert_array_equal(counts, expected)


def test_the_local_policy_is_drawn_by_global_state() -> None:
    figure = drawn(*frames())
    matrix = np.array([[0, 0.25, 0.5], [1, 0.75, 0.5]])
    np.testing.assert_allclose(image(figure, 0), np.hstack([matrix, np.full((2, 1), np.nan), matrix]))
    assert [label for label in labels(figure) if label.startswith("global state")] == [
        "global state 0",
        "global state 1",
    ] * 2
    assert [label for label in labels(figure) if "." in label or label == "1.00"][:6] == [
        ".00", ".25", ".50", "1.00", ".75", ".50",
    ]  # fmt: skip


def test_the_commonest_action_is_drawn_by_crowd() -> None:
    """Of four agents in three states, two to four can be in the fullest one."""
    crowd = np.array([[0, 0, 0], [1, 1, 1], [2, 2, 2]])
    np.testing.assert_allclose(image(drawn(*frames()), 1), np.hstack([crowd, np.full((3, 1), np.nan), crowd]))


def test_the_commonest_action_is_that_of_most_views() -> None:
    local, seen = frames((4,))
    vectors = count_vectors(4, 3)
    lonely = [2 if vector.max() == 2 else int(vector.argmax()) for vector in vectors]
    seen.at[0, "actions"] = lonely
    first = image(drawn(local, seen), 1)[:, :3]
    np.testing.assert_allclose(first, [[2, 0, 0], [2, 1, 1], [2, 2, 2]])


def test_how_often_the_crowd_is_followed_is_compared_between_k() -> None:
    local, seen = frames((1, 4))
    seen.loc[(seen["k"] == 4) & (seen["s_g"] == 1), "actions"] = pd.Series({3: [0] * 15})
    bottom = drawn(local, seen).axes[-1]
    one, four = bottom.lines
    assert (one.get_label(), four.get_label()) == ("k = 1", "k = 4")
    np.testing.assert_allclose(one.get_xydata(), [[1, 100]])
    # One of the two global states always goes to state 0, a third of the crowds are there.
    np.testing.assert_allclose(four.get_xydata(), [[0.5, 200 / 3], [0.75, 200 / 3], [1, 200 / 3]])


def test_actions_that_are_no_states_are_not_compared_with_states() -> None:
    with_shares, without = drawn(*frames()), drawn(*frames(), is_steered=False)
    assert len(with_shares.axes) == len(without.axes) + 1
    local, seen = frames()
    seen["actions"] = [[min(action, 1) for action in actions] for actions in seen["actions"]]
    assert len(drawn(local, seen).axes) == len(without.axes)
    assert len(drawn(local, seen, is_steered=True).axes) == len(with_shares.axes)


def test_crowds_are_those_of_classes_where_classes_are_seen() -> None:
    """Local policies are by state all the same."""
    local, _ = frames()
    fullest = [int(vector.argmax()) for vector in count_vectors(3, 2)]
    seen = pd.DataFrame([{**row, "actions": fullest} for row in global_policy_rows("only", 3, 2)])
    figure = drawn(local, seen, observation=[1, 0, 0])
    np.testing.assert_array_equal(image(figure, 0), image(drawn(*frames()), 0))
    np.testing.assert_allclose(image(figure, 1)[:, :2], [[0, 0], [1, 1]])
    np.testing.assert_allclose(figure.axes[-1].lines[0].get_ydata(), 100)
    assert any("class" in axes.get_ylabel() for axes in figure.axes)


def test_of_many_global_states_some_are_shown() -> None:
    figure = drawn(*frames(n_global_states=MAX_STATES + 4))
    assert f"{MAX_STATES} of {MAX_STATES + 4} global states shown" in texts(figure)
    assert labels(figure).count(f"global state {MAX_STATES + 3}") == 2


def test_a_narrow_figure_shows_fewer_global_states() -> None:
    figure = drawn(*frames(n_global_states=5), width=3.5)
    assert "2 of 5 global states shown" in texts(figure)
    assert len(texts(drawn(*frames(n_global_states=5), width=6.65))) == 0


def test_of_several_settings_the_first_is_drawn_and_named() -> None:
    local, seen = frames(names=("a", "b"))
    local.loc[local["setting_id"] == "b", "probability"] = 0.5
    figure = drawn(local, seen)
    assert "1 of 2 settings: a" in texts(figure)
    assert np.nanmax(image(figure, 0)) == 1
    assert "unfinished: 1 of 2" in texts(drawn(local, seen, unfinished="unfinished: 1 of 2"))
    assert texts(drawn(*frames())) == []


def test_one_policy_without_the_other_is_no_figure() -> None:
    local, seen = frames()
    assert policy(local.iloc[:0], seen) is None
    assert policy(local, seen.iloc[:0]) is None


def test_another_frame_is_refused() -> None:
    local, seen = frames()
    with pytest.raises(InvalidArgumentError, match=r"local_policies: .* it has no column s_l, a_l, probability"):
        policy(seen, seen)
    with pytest.raises(InvalidArgumentError, match=r"global_policies: .* it has no column k, actions"):
        policy(local, local)


def test_where_classes_are_seen_they_take_the_place_of_states_in_the_crowds() -> None:
    local, seen = frames((2,))
    rows = [{**row, "actions": [0, 1, 1]} for row in seen.to_dict("records")]  # of two classes: (0, 2), (1, 1), (2, 0)
    figure = drawn(local, pd.DataFrame(rows), observation=[0, 1, 1], is_steered=True)
    assert image(figure, 1).shape[0] == 2
    assert "most populated class" in [axes.get_ylabel() for axes in figure.axes]


def test_types_are_named_below_their_states() -> None:
    figure = drawn(*frames(), local_types=["fast", "slow", "slow"])
    assert labels(figure).count("fast") == labels(figure).count("slow") == 2, "once in each global state"
    assert "fast" not in labels(drawn(*frames()))
