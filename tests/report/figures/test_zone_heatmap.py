"""The heatmap shows the recorded rollouts as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from distmarl.errors import InvalidArgumentError
from distmarl.report.figures.zone_heatmap import MAX_STEPS, zone_heatmap
from tests.report.results_folders import rollout_row


def rollouts_of(k_values: tuple[int, ...] = (1, 2), **options: Any) -> pd.DataFrame:
    return pd.DataFrame([rollout_row("only", k, **options) for k in k_values])


def drawn(rollouts: pd.DataFrame, **options: Any) -> Figure:
    figure = zone_heatmap(rollouts, **options)
    assert figure is not None
    return figure


def panels(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_title(loc="left")]


def notes(figure: Figure) -> list[str]:
    return [artist.get_text() for artist in panels(figure)[0].texts if isinstance(artist, Annotation)]


def marked(axes: Axes, marker: str) -> list[tuple[float, float]]:
    points = [line.get_xydata() for line in axes.lines if line.get_marker() == marker]
    return [(x, y) for x, y in np.concatenate(points).tolist()]


def test_shares_are_drawn_by_step_and_state() -> None:
    for axes in panels(drawn(rollouts_of())):
        (image,) = axes.images
        expected = [[0.75] * 3 + [0.0] * 3, [0.25] * 3 + [0.5] * 3, [0.0] * 3 + [0.5] * 3]
        np.testing.assert_allclose(np.asarray(image.get_array()), expected)
        assert image.get_clim() == (0, 0.75)


def test_actions_at_the_mode_and_elsewhere_look_different() -> None:
    lost, found = panels(drawn(rollouts_of()))
    assert marked(lost, "o") == [(0, 0), (1, 0), (2, 0)]
    assert marked(lost, "x") == [(3, 0), (4, 0), (5, 0)]
    assert marked(found, "o") == [(0, 0), (1, 0), (2, 0), (3, 2), (4, 2), (5, 2)]
    assert marked(found, "x") == []
    assert lost.get_title(loc="left") == "k = 1: at the mode in 3 of 6 steps"
    assert found.get_title(loc="left") == "k = 2: at the mode in 6 of 6 steps"


def test_every_most_populated_state_is_outlined() -> None:
    axes = panels(drawn(rollouts_of()))[0]
    outlines = [one for one in axes.collections if isinstance(one, LineCollection)]
    middles = np.concatenate([one.get_segments() for one in outlines]).mean(axis=1)
    cells = sorted({(step, round(state)) for step, state in middles.tolist()})
    assert cells == [(0, 0), (1, 0), (2, 0), (3, 1), (3, 2), (4, 1), (4, 2), (5, 1), (5, 2)]


def test_types_of_agents_are_named_and_set_apart() -> None:
    def lines(figure: Figure) -> int:
        return sum(len(axes.lines) for axes in panels(figure))

    rollouts = rollouts_of()
    typed, alike = drawn(rollouts, local_types=["fast", "slow", "slow"]), drawn(rollouts)
    assert [note for note in notes(typed) if note in ("fast", "slow")] == ["fast", "slow"]
    assert not {"fast", "slow"} & {*notes(alike)}
    assert lines(typed) == lines(alike) + len(panels(alike))
    between = [line for line in panels(typed)[0].lines if np.array_equal(line.get_ydata(), [0.5, 0.5])]
    assert len(between) == 1


def test_at_most_four_k_are_shown_among_them_the_first_and_the_last() -> None:
    titles = [axes.get_title(loc="left") for axes in panels(drawn(rollouts_of(tuple(range(1, 26)))))]
    assert [title.partition(":")[0] for title in titles] == ["k = 1", "k = 3", "k = 9", "k = 25"]


def test_actions_that_are_no_local_states_have_an_axis_of_their_own() -> None:
    figure = drawn(rollouts_of((2,), n_global_actions=4))
    (panel,) = panels(figure)
    assert not panel.lines
    (beside,) = [axes for axes in figure.axes if axes.get_ylabel() == "global action"]
    assert beside.lines[0].get_ydata().tolist() == [0, 0, 0, 2, 2, 2]
    assert beside.get_ylim() == (-0.5, 3.5)


def test_states_are_drawn_class_by_class_where_classes_are_seen() -> None:
    rollouts = rollouts_of((2,), n_global_actions=2)
    rollouts["modes"] = [[[1]] * 3 + [[0]] * 3]  # of the classes: s_l = 0 is class 1, the others are class 0
    rollouts["global_actions"] = [[1, 1, 0, 0, 0, 0]]
    figure = drawn(rollouts, observation=[1, 0, 0])
    (axes,) = panels(figure)
    expected = [[0.25] * 3 + [0.5] * 3, [0.0] * 3 + [0.5] * 3, [0.75] * 3 + [0.0] * 3]
    np.testing.assert_allclose(np.asarray(axes.images[0].get_array()), expected)
    # Class 0 is the rows 0 and 1, class 1 is the row 2.
    assert marked(axes, "o") == [(0, 2), (1, 2), (3, 0.5), (4, 0.5), (5, 0.5)]
    assert marked(axes, "x") == [(2, 0.5)]
    outlines = [one for one in axes.collections if isinstance(one, LineCollection)]
    heights = np.concatenate([one.get_segments() for one in outlines])[..., 1]
    assert np.unique((2 * heights).round() / 2).tolist() == [-0.5, 1.5, 2.5], "the edges of the classes"
    assert figure.get_supylabel() == "local state, by the class that is seen"


def test_of_a_long_rollout_the_first_steps_are_shown_and_all_are_counted() -> None:
    figure = drawn(rollouts_of((1,), n_steps=100))
    assert panels(figure)[0].images[0].get_array().shape == (3, MAX_STEPS)
    assert panels(figure)[0].get_title(loc="left") == "k = 1: at the mode in 50 of 100 steps"
    assert f"the first {MAX_STEPS} of 100 steps" in notes(figure)


def test_of_several_settings_the_first_is_drawn_and_named() -> None:
    several = pd.concat([rollouts_of().assign(setting_id=name, label=f"n={name}") for name in "ab"])
    assert "1 of 2 settings: n=a" in notes(drawn(several))
    assert "1 of 2 settings: a" in notes(drawn(several.drop(columns="label")))
    assert "mine" in notes(drawn(rollouts_of(), setting="mine"))
    assert len(notes(drawn(rollouts_of()))) == 1


def test_an_unfinished_sweep_is_marked_on_top() -> None:
    figure = drawn(rollouts_of(), unfinished="unfinished: 1 of 2")
    figure.draw_without_rendering()
    top = max((one for one in panels(figure)[0].texts), key=lambda text: text.get_window_extent().y0)
    assert top.get_text() == "unfinished: 1 of 2"
    assert top.get_window_extent().y1 <= figure.bbox.y1


def test_nothing_recorded_is_no_figure() -> None:
    assert zone_heatmap(rollouts_of().iloc[:0]) is None


@pytest.mark.parametrize("wrong", [[1, 2], pd.DataFrame({"k": [1]})])
def test_another_frame_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"rollouts: must be a .*such as dm\.open\(\.\.\.\)\.rollouts"):
        zone_heatmap(wrong)


def test_classes_are_bands_of_their_states_and_what_is_outlined_and_hit() -> None:
    """States 0 and 2 are class 0: they are drawn beside each other, and hold all but a few agents."""
    rollouts = rollouts_of((2,), n_global_actions=2).assign(
        global_actions=[[0, 0, 0, 1, 1, 1]], modes=[[[0], [0], [0], [0, 1], [0, 1], [0, 1]]]
    )
    (axes,) = panels(drawn(rollouts, observation=[0, 1, 0]))
    (image,) = axes.images
    by_state = np.asarray(image.get_array())
    np.testing.assert_allclose(by_state[:, 0], [0.75, 0.0, 0.25])
    np.testing.assert_allclose(by_state[:, 5], [0.0, 0.5, 0.5])
    assert marked(axes, "o") == [(0, 0.5), (1, 0.5), (2, 0.5), (3, 2), (4, 2), (5, 2)], "at the middle of a class"
    edges = [line.get_ydata()[0] for line in axes.lines if len(line.get_ydata()) == 2 and line.get_marker() == "None"]
    assert 1.5 in edges, "a line between the classes"


def test_types_are_named_beside_their_states() -> None:
    (axes,) = panels(drawn(rollouts_of((2,)), local_types=["fast", "fast", "slow"]))
    named = {artist.get_text(): artist.xy[1] for artist in axes.texts if isinstance(artist, Annotation)}
    assert (named["fast"], named["slow"]) == (0.5, 2.0)
    (alone,) = panels(drawn(rollouts_of((2,))))
    assert "fast" not in {artist.get_text() for artist in alone.texts}
