import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from distmarl.report.figures.against_k import (
    BAND_NOTE,
    BARS_NOTE,
    DIFFERENCE_NOTE,
    EXACT_DIFFERENCE_NOTE,
    TABLES_NOTE,
    difference_vs_k,
    mode_accuracy_vs_k,
    reward_vs_k,
    runtime_vs_k,
)
from distmarl.report.figures.drawing.series import UNCONVERGED_NOTE

K_VALUES = (1, 2, 5)


def summary_of(n_settings: int = 1, k_values: tuple[int, ...] = K_VALUES, **columns: object) -> pd.DataFrame:
    rows = [
        {
            "setting_id": f"s{number:02}",
            "label": f"n_agents={10 * (number + 1)}",
            "k": k,
            "n_seeds": 3,
            "mean_return": 10.0 * number + k,
            "std_return": 1.0,
            "min_return": 10.0 * number + k - 0.5,
            "max_return": 10.0 * number + k + 2.0,
            "ci95_low": 10.0 * number + k - 0.25,
            "ci95_high": 10.0 * number + k + 0.5,
            "difference": float(k) if k != min(k_values) else np.nan,
            "difference_ci95_low": k - 1.0 if k != min(k_values) else np.nan,
            "difference_ci95_high": k + 3.0 if k != min(k_values) else np.nan,
            "exact_return": np.nan,
            "mode_accuracy": 1 - 0.5 / k,
            "train_seconds": 0.5 * k,
            "bound": 1e-7,
            "converged": True,
        }
        for number in range(n_settings)
        for k in k_values
    ]
    return pd.DataFrame(rows).assign(**columns).astype({"converged": "boolean"})


def lines(figure: Figure) -> list[Line2D]:
    """Return the lines of the series, without the open markers drawn on them."""
    return [line for line in figure.axes[0].lines if line.get_linestyle() != "None"]


def open_markers(figure: Figure) -> list[Line2D]:
    return [line for line in figure.axes[0].lines if line.get_linestyle() == "None"]


def bars(figure: Figure) -> list[LineCollection]:
    return [artist for artist in figure.axes[0].collections if isinstance(artist, LineCollection)]


def bands(figure: Figure) -> list[PolyCollection]:
    return [artist for artist in figure.axes[0].collections if isinstance(artist, PolyCollection)]


def notes(figure: Figure) -> list[str]:
    return [artist.get_text() for artist in figure.axes[0].texts if isinstance(artist, Annotation)]


def legend_labels(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def drawn_boxes_overlap(figure: Figure) -> bool:
    """Return whether the legend reaches into the axes, once everything has its place."""
    figure.draw_without_rendering()
    return bool(figure.legends[0].get_window_extent().overlaps(figure.axes[0].get_window_extent()))


@pytest.mark.parametrize(
    ("draw", "column", "factor"),
    [
        (reward_vs_k, "mean_return", 1),
        (runtime_vs_k, "train_seconds", 1),
        (mode_accuracy_vs_k, "mode_accuracy", 100),
    ],
)
@pytest.mark.parametrize("n_settings", [1, 3])
def test_every_setting_is_a_line_through_its_numbers(draw, column, factor, n_settings):
    summary = summary_of(n_settings)
    drawn = lines(draw(summary))
    assert len(drawn) == n_settings
    for line, (_, points) in zip(drawn, summary.groupby("setting_id"), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), points["k"])
        np.testing.assert_allclose(line.get_ydata(), factor * points[column])


@pytest.mark.parametrize(
    ("draw", "y_label"),
    [
        (reward_vs_k, "discounted return (reward)"),
        (runtime_vs_k, "G-LEARN wall-clock time (s)"),
        (mode_accuracy_vs_k, "mode accuracy (% of steps)"),
    ],
)
def test_axes_are_named_with_units(draw, y_label):
    axes = draw(summary_of()).axes[0]
    assert axes.get_xlabel() == "subsample size k (agents)"
    assert axes.get_ylabel() == y_label


def test_bars_reach_from_the_smallest_to_the_largest_seed():
    (collection,) = bars(reward_vs_k(summary_of()))
    ends = [segment.tolist() for segment in collection.get_segments()]
    assert ends == [[[k, k - 0.5], [k, k + 2.0]] for k in K_VALUES]


def test_a_band_is_the_interval_of_the_mean():
    figure = reward_vs_k(summary_of())
    (band,) = bands(figure)
    ends = {tuple(vertex) for path in band.get_paths() for vertex in path.vertices.tolist()}
    assert {(k, y) for k in K_VALUES for y in (k - 0.25, k + 0.5)} <= ends
    assert BAND_NOTE in notes(figure)


def test_intervals_of_several_settings_are_bars_side_by_side_since_bands_would_hide_one_another():
    figure = reward_vs_k(summary_of(4))
    assert not bands(figure)
    assert len(bars(figure)) == 4
    for number, collection in enumerate(bars(figure)):
        ends = [segment[:, 1].tolist() for segment in collection.get_segments()]
        assert ends == [[10.0 * number + k - 0.25, 10.0 * number + k + 0.5] for k in K_VALUES]
    assert notes(figure) == [BARS_NOTE, "mean of 3 evaluation seeds"]


def test_a_single_rollout_has_no_band():
    figure = reward_vs_k(summary_of(ci95_low=np.nan, ci95_high=np.nan))
    assert not bands(figure)
    assert BAND_NOTE not in notes(figure)


@pytest.mark.parametrize("n_settings", [1, 3])
def test_differences_are_points_with_their_intervals(n_settings):
    figure = difference_vs_k(summary_of(n_settings))
    points = [line for line in open_markers(figure) if len(line.get_xdata()) > 1]
    assert len(points) == len(bars(figure)) == n_settings
    for line, collection in zip(points, bars(figure), strict=True):
        assert line.get_xdata().tolist() == line.get_ydata().tolist() == [2, 5]
        ends = [segment.tolist() for segment in collection.get_segments()]
        assert ends == [[[k, k - 1.0], [k, k + 3.0]] for k in (2, 5)]
    (zero,) = lines(figure)
    assert set(zero.get_ydata()) == {0}
    axes = figure.axes[0]
    assert axes.get_ylabel() == "gain over the next smaller k (reward)"
    assert axes.get_ylim()[0] < 0
    assert axes.get_ylim()[1] > 8
    assert axes.get_xlim()[0] < 1


def test_differences_of_exact_returns_of_a_single_training_have_no_bars() -> None:
    unknown = {"difference_ci95_low": np.nan, "difference_ci95_high": np.nan}
    exact = {"exact_return": [1.0, 2.0, 5.0]}
    figure = difference_vs_k(summary_of(n_seeds=0, **exact, **unknown))
    assert not bars(figure)
    assert notes(figure) == [EXACT_DIFFERENCE_NOTE]
    assert notes(difference_vs_k(summary_of(**exact))) == [DIFFERENCE_NOTE]
    assert notes(difference_vs_k(summary_of(**exact, **unknown))) == []


def test_one_subsample_size_has_no_difference():
    assert difference_vs_k(summary_of(k_values=(3,))) is None


def test_everything_drawn_lies_within_the_axes():
    axes = reward_vs_k(summary_of(3)).axes[0]
    low, high = axes.get_ylim()
    assert low < 0.75
    assert high > 25.5
    assert axes.get_xlim()[0] < 1
    assert axes.get_xlim()[1] > 5


def test_bars_of_several_settings_do_not_hide_one_another():
    figure = reward_vs_k(summary_of(4))
    figure.draw_without_rendering()
    places = [line.get_transform().transform((2, 0))[0] for line in lines(figure)]
    assert min(np.diff(places)) > 2  # pixels
    neighbours = figure.axes[0].transData.transform([(1, 0), (2, 0)])[:, 0]
    assert places[-1] - places[0] < neighbours[1] - neighbours[0]


def test_one_seed_has_no_bars_and_says_so():
    figure = reward_vs_k(summary_of(n_seeds=1))
    assert not bars(figure)
    assert notes(figure) == [BAND_NOTE, "one evaluation seed"]


def test_exact_returns_are_a_line_through_markers_that_are_not_joined() -> None:
    figure = reward_vs_k(summary_of(exact_return=[1.1, 2.2, 5.5]))
    markers, line = figure.axes[0].lines
    assert (markers.get_linestyle(), line.get_marker()) == ("None", "None")
    np.testing.assert_allclose(line.get_ydata(), [1.1, 2.2, 5.5])
    assert "line: exact return" in notes(figure)


def test_exact_returns_alone_are_joined_markers() -> None:
    figure = reward_vs_k(summary_of(n_seeds=0, exact_return=[1.0, 2.0, 5.0], ci95_low=np.nan, ci95_high=np.nan))
    (line,) = figure.axes[0].lines
    assert line.get_linestyle() == "-"
    assert notes(figure) == ["exact returns"]


def test_baselines_are_levels_named_below_the_axes() -> None:
    rows = [("random", "exact", 3.0), ("random", "rollouts", 2.9), ("full_information", "rollouts", 9.0)]
    baselines = pd.DataFrame(rows, columns=["baseline", "method", "value"]).assign(setting_id="s00")
    figure = reward_vs_k(summary_of(), baselines=baselines)
    assert [line.get_ydata()[0] for line in figure.axes[0].lines[1:]] == [9.0, 3.0]
    assert legend_labels(figure) == ["full information", "random"]
    assert len(reward_vs_k(summary_of(2), baselines=baselines).axes[0].lines) == 2


def bounds_of(*ceilings: float) -> pd.DataFrame:
    rows = [(f"s{number:02}", 50.0, ceiling) for number, ceiling in enumerate(ceilings)]
    return pd.DataFrame(rows, columns=["setting_id", "horizon", "ceiling"])


def test_different_ceilings_on_the_same_axes_are_short_lines_side_by_side_in_the_settings_colours() -> None:
    summary = summary_of(3)
    figure = reward_vs_k(summary, bounds=bounds_of(9.0, 24.0, 131.0))
    series, short = figure.axes[0].lines[:3], figure.axes[0].lines[3:]
    assert [line.get_ydata().tolist() for line in short] == [[9.0] * 2, [24.0] * 2, [131.0] * 2]
    assert [line.get_color() for line in short] == [line.get_color() for line in series]
    ends = [line.get_xdata().tolist() for line in short]
    assert all(before[1] <= after[0] + 1e-9 for before, after in itertools.pairwise(ends))
    assert ends[-1][1] == 1
    assert figure.axes[0].get_ylim()[1] > 131
    assert legend_labels(figure)[-1] == "nobody earns more (short, at the right)"
    assert not drawn_boxes_overlap(figure)


def test_a_ceiling_that_settings_share_is_one_level_and_of_very_many_settings_none_is_drawn() -> None:
    figure = reward_vs_k(summary_of(2), bounds=bounds_of(24.0, 24.0))
    assert [list(line.get_ydata()) for line in figure.axes[0].lines[2:]] == [[24.0] * 2]
    assert legend_labels(figure)[-1] == "nobody earns more"
    assert len(reward_vs_k(summary_of(9), bounds=bounds_of(*range(9))).axes[0].lines) == 9


ELSEWHERE = TABLES_NOTE.format("pairs from elsewhere")


@pytest.mark.parametrize(("n_settings", "is_told"), [(1, False), (2, True)])
def test_pairs_from_elsewhere_are_drawn_or_it_is_said_where_they_are(n_settings: int, is_told: bool) -> None:
    rows = [{"setting_id": "s00", "policy": "mine", "k": k, "value": 3.0} for k in K_VALUES]
    figure = reward_vs_k(summary_of(n_settings), policies=pd.DataFrame(rows))
    assert (ELSEWHERE in notes(figure)) == is_told
    assert ("mine" in legend_labels(figure)) == (not is_told)
    assert ELSEWHERE not in notes(reward_vs_k(summary_of(2), policies=pd.DataFrame(rows).iloc[:0]))


def test_baselines_and_learners_are_drawn_of_one_setting_or_it_is_said_where_they_are():
    others = {
        "baselines": pd.DataFrame([{"setting_id": "s00", "baseline": "random", "method": "exact", "value": 3.0}]),
        "learners": pd.DataFrame({"setting_id": ["s00"], "learner": "subsampled_q", "k": 1, "budget": 9}),
    }
    told = TABLES_NOTE.format("baselines, learners")
    assert told in notes(reward_vs_k(summary_of(2), **others))


def test_the_number_of_seeds_is_told():
    assert notes(reward_vs_k(summary_of()))[-1] == "mean of 3 evaluation seeds; bars: min to max"
    assert notes(reward_vs_k(summary_of(n_seeds=[3, 3, 2])))[-1].startswith("mean of up to 3 evaluation seeds")


@pytest.mark.parametrize("draw", [reward_vs_k, difference_vs_k, runtime_vs_k, mode_accuracy_vs_k])
def test_one_setting_needs_no_legend(draw):
    assert not draw(summary_of()).legends


@pytest.mark.parametrize("draw", [reward_vs_k, difference_vs_k, runtime_vs_k, mode_accuracy_vs_k])
@pytest.mark.parametrize("n_settings", [2, 8])
def test_the_legend_names_every_setting_and_covers_no_data(draw, n_settings):
    summary = summary_of(n_settings)
    figure = draw(summary)
    assert legend_labels(figure) == summary["label"].unique().tolist()
    assert not drawn_boxes_overlap(figure)


def test_a_line_looks_like_its_legend_entry():
    figure = reward_vs_k(summary_of(3))
    for line, handle in zip(lines(figure), figure.legends[0].get_lines(), strict=True):
        assert (line.get_color(), line.get_marker()) == (handle.get_color(), handle.get_marker())


def test_long_labels_are_wrapped_within_the_figure():
    label = ", ".join(f"some_long_parameter_{number}=value_{number}" for number in range(5))
    summary = summary_of(2)
    summary["label"] = summary["label"] + ", " + label
    figure = reward_vs_k(summary)
    figure.draw_without_rendering()
    box, page = figure.legends[0].get_window_extent(), figure.bbox
    assert page.x0 <= box.x0
    assert box.x1 <= page.x1
    assert not drawn_boxes_overlap(figure)


def test_dollars_in_labels_are_no_mathematics():
    summary = summary_of(2)
    summary["label"] = summary["label"] + ", note=$x_y^$"
    figure = reward_vs_k(summary)
    figure.draw_without_rendering()
    assert all("$x_y^$" in text.get_text() for text in figure.legends[0].get_texts())
    assert not any(text.get_parse_math() for text in figure.legends[0].get_texts())


def test_many_settings_are_coloured_by_order_and_some_of_them_named():
    figure = reward_vs_k(summary_of(20))
    assert len(lines(figure)) == 20
    assert len({to_hex(line.get_color()) for line in lines(figure)}) == 20
    labels = legend_labels(figure)
    assert len(labels) == 8
    assert (labels[0], labels[-1]) == ("n_agents=10", "n_agents=200")
    assert "8 of 20 settings named; colours in the grid's order" in notes(figure)
    assert not bars(figure)
    assert not bands(figure)
    assert not bars(difference_vs_k(summary_of(20)))


def test_a_setting_looks_the_same_in_every_figure():
    summary = summary_of(3)
    summary.loc[summary["setting_id"] == "s00", "mode_accuracy"] = np.nan
    everywhere, here = lines(reward_vs_k(summary)), lines(mode_accuracy_vs_k(summary))
    assert [line.get_color() for line in here] == [line.get_color() for line in everywhere[1:]]
    assert legend_labels(mode_accuracy_vs_k(summary)) == ["n_agents=20", "n_agents=30"]
    summary.loc[summary["setting_id"] == "s00", "difference"] = np.nan
    differences = [line for line in open_markers(difference_vs_k(summary)) if len(line.get_xdata()) > 1]
    assert [line.get_color() for line in differences] == [line.get_color() for line in everywhere[1:]]


@pytest.mark.parametrize("draw", [reward_vs_k, difference_vs_k, runtime_vs_k, mode_accuracy_vs_k])
def test_an_unfinished_sweep_is_marked(draw):
    figure = draw(summary_of(), unfinished="unfinished: 112 of 250 evaluations")
    assert "unfinished: 112 of 250 evaluations" in notes(figure)
    assert not any("unfinished" in note for note in notes(draw(summary_of())))


def test_notes_stand_above_the_axes_one_above_the_other():
    figure = reward_vs_k(summary_of(converged=False), unfinished="unfinished: 112 of 250 evaluations")
    figure.draw_without_rendering()
    boxes = [artist.get_window_extent() for artist in figure.axes[0].texts]
    assert len(boxes) == 4
    assert boxes[0].y0 >= figure.axes[0].get_window_extent().y1
    assert all(above.y0 >= below.y1 for below, above in itertools.pairwise(boxes))
    assert all(box.y1 <= figure.bbox.y1 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_unconverged_trainings_have_open_markers_and_a_note():
    figure = reward_vs_k(summary_of(converged=[True, False, True]))
    (line,) = open_markers(figure)
    assert line.get_markerfacecolor() == "white"
    assert list(line.get_xdata()) == [2]
    assert list(line.get_ydata()) == [2.0]
    assert UNCONVERGED_NOTE in notes(figure)


def test_converged_trainings_have_neither():
    figure = reward_vs_k(summary_of())
    assert not open_markers(figure)
    assert UNCONVERGED_NOTE not in notes(figure)


@pytest.mark.parametrize(
    ("seconds", "scale"),
    [([0.1, 0.5, 0.9], "linear"), ([0.1, 2.0, 30.0], "log"), ([0.1, 0.5, 1.1], "log"), ([0.0, 2.0, 30.0], "linear")],
)
def test_times_over_more_than_a_decade_have_a_log_axis(seconds, scale):
    axes = runtime_vs_k(summary_of(train_seconds=seconds)).axes[0]
    assert axes.get_yscale() == scale
    low, high = axes.get_ylim()
    assert low <= min(seconds)
    assert high > max(seconds)


def test_a_log_axis_has_plain_numbers():
    figure = runtime_vs_k(summary_of(train_seconds=[0.05, 2.0, 300.0]))
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_ylim()
    ticks = zip(figure.axes[0].get_yticks(), figure.axes[0].get_yticklabels(), strict=True)
    assert [label.get_text() for tick, label in ticks if low <= tick <= high] == ["0.1", "1", "10", "100"]


def test_subsample_sizes_that_crowd_at_the_small_end_have_a_log_axis():
    assert reward_vs_k(summary_of(k_values=(1, 2, 5, 10, 20, 50, 100))).axes[0].get_xscale() == "log"
    assert reward_vs_k(summary_of(k_values=tuple(range(1, 51)))).axes[0].get_xscale() == "linear"


@pytest.mark.parametrize(
    ("k_values", "ticks"),
    [
        ((5,), [5]),
        ((1, 2, 3), [1, 2, 3]),
        ((1, 2), [1, 2]),
        ((3, 12), [3, 4, 6, 8, 10, 12]),
        (tuple(range(1, 13)), [1, 2, 4, 6, 8, 10, 12]),
        (tuple(range(1, 26)), [1, 5, 10, 15, 20, 25]),
    ],
)
def test_ticks_stand_at_whole_agents(k_values, ticks):
    axes = reward_vs_k(summary_of(k_values=k_values)).axes[0]
    assert axes.get_xticks().tolist() == ticks


def test_large_returns_have_no_multiplier_beside_the_axis():
    figure = reward_vs_k(summary_of(mean_return=[1.1e7, 1.2e7, 1.3e7], min_return=1.0e7, max_return=1.4e7))
    figure.draw_without_rendering()
    assert figure.axes[0].yaxis.get_offset_text().get_text() == ""


def test_what_was_not_stored_is_not_drawn():
    assert runtime_vs_k(summary_of(train_seconds=np.nan)) is None
    assert mode_accuracy_vs_k(summary_of(mode_accuracy=np.nan)) is None


def test_figures_are_as_wide_as_a_column():
    for figure in (reward_vs_k(summary_of()), reward_vs_k(summary_of(8)), difference_vs_k(summary_of())):
        assert figure.get_size_inches()[0] == 3.5
        assert figure.get_dpi() == 300
