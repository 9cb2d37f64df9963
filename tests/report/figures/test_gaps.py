from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from distmarl.report.figures.drawing.panels import MAX_PANELS
from distmarl.report.figures.gaps import nash_gap_vs_k, price_of_subsampling

K_VALUES = (1, 4, 10)
QUANTITIES = ("joint_value", "global_lower", "global_upper", "local_lower", "local_upper")


def gaps_of(n_settings: int = 1, method: str = "exact") -> pd.DataFrame:
    """Return rows of the table ``nash_gaps``: J = 90 + k, gaps falling with k."""
    rows = []
    for setting in range(n_settings):
        for k in K_VALUES:
            values = (90.0 + k, 1 / k, 8 / k, 0.1, 0.5)
            for quantity, value in zip(QUANTITIES, values, strict=True):
                known = method == "exact" or not quantity.endswith("upper")
                rows.append(
                    {
                        "setting_id": f"s{setting}",
                        "label": f"gamma={setting}",
                        "k": k,
                        "method": method,
                        "quantity": quantity,
                        "n_agents": 10,
                        "value": value if known else None,
                        "error": 0.05 if method == "estimate" else 1e-7,
                    }
                )
    return pd.DataFrame(rows).astype({"value": float})


def labelled(figure: Figure) -> dict[str, np.ndarray]:
    return {str(line.get_label()): line.get_ydata() for line in figure.axes[0].lines}


def test_brackets_reach_from_the_lower_to_the_upper_bound() -> None:
    figure = nash_gap_vs_k(gaps_of())
    assert figure is not None
    lines = labelled(figure)
    np.testing.assert_allclose(lines["global agent"], [1, 0.25, 0.1])
    np.testing.assert_allclose(lines["one local agent"], [0.1, 0.1, 0.1])
    bands = [one for one in figure.axes[0].collections if isinstance(one, PolyCollection)]
    heights = [set(band.get_paths()[0].vertices[:, 1].round(6)) for band in bands]
    assert heights == [{1, 0.25, 0.1, 8, 2, 0.8}, {0.1, 0.5}]


def test_rates_go_through_the_first_upper_bound() -> None:
    figure = nash_gap_vs_k(gaps_of())
    assert figure is not None
    rates = {label: y for label, y in labelled(figure).items() if "scaled" in label}
    ends = {label: (y[0], y[-1]) for label, y in rates.items()}
    assert ends["1/√k, scaled"] == pytest.approx((8, 8 / np.sqrt(10)))
    assert ends["√((n - k + 1)/(n k)), scaled"] == pytest.approx((8, 8 * np.sqrt(1 / 100)))


def test_estimates_have_intervals_and_no_band() -> None:
    figure = nash_gap_vs_k(gaps_of(method="estimate"))
    assert figure is not None
    (axes,) = figure.axes
    assert not any(isinstance(one, PolyCollection) for one in axes.collections)
    segments = np.array(axes.collections[0].get_segments())
    np.testing.assert_allclose(segments[:, 1, 1] - segments[:, 0, 1], 0.1)


def test_the_price_is_the_distance_to_full_information() -> None:
    figure = price_of_subsampling(gaps_of())
    assert figure is not None
    lines = labelled(figure)
    np.testing.assert_allclose(lines["sees k agents"], [91, 94, 100])
    np.testing.assert_allclose(lines["sees all agents"], [99, 96, 100.8])


def test_estimates_have_no_price() -> None:
    assert price_of_subsampling(gaps_of(method="estimate")) is None


@pytest.mark.parametrize("draw", [nash_gap_vs_k, price_of_subsampling])
def test_every_setting_has_a_panel_with_its_name(draw) -> None:
    figure = draw(gaps_of(3))
    assert [axes.get_title() for axes in figure.axes] == ["gamma=0", "gamma=1", "gamma=2"]
    many = draw(gaps_of(MAX_PANELS + 1))
    assert len(many.axes) == MAX_PANELS
    assert any("12 of 13 settings shown" in text.get_text() for text in many.axes[0].texts)


def test_panels_with_one_axis_hold_the_largest_gap_of_all() -> None:
    gaps = gaps_of(2)
    gaps.loc[gaps["setting_id"] == "s1", "value"] *= 3
    figure = nash_gap_vs_k(gaps)
    assert figure is not None
    assert all(axes.get_ylim()[1] > 24 for axes in figure.axes)
    assert all(axes.get_ylim()[0] <= 0 for axes in figure.axes)


@pytest.mark.parametrize("draw", [nash_gap_vs_k, price_of_subsampling])
def test_nothing_known_is_no_figure_and_unfinished_is_said(draw) -> None:
    assert draw(gaps_of().iloc[:0]) is None
    figure = draw(gaps_of(), unfinished="unfinished: 1 of 2")
    assert [text.get_text() for text in figure.axes[0].texts] == ["unfinished: 1 of 2"]


@pytest.mark.parametrize("method", ["exact", "estimate"])
def test_no_rate_is_drawn_beside_gaps_that_are_zero_as_far_as_is_known(method: str) -> None:
    gaps = gaps_of(method=method)
    is_global = gaps["quantity"].str.startswith("global")
    figure = nash_gap_vs_k(gaps.assign(value=gaps["value"].where(~is_global, 0.9 * gaps["error"])))
    assert figure is not None
    assert not [label for label in labelled(figure) if "scaled" in label]


def test_settings_whose_returns_cannot_be_compared_have_axes_of_their_own() -> None:
    rows = gaps_of(2)
    of_another_game = rows["setting_id"] == "s1"
    rows.loc[of_another_game, "value"] *= 100
    for figure in (price_of_subsampling(rows), nash_gap_vs_k(rows)):
        assert figure is not None
        small, large = figure.axes[:2]
        assert large.get_ylim()[1] > 20 * small.get_ylim()[1]
    alike = price_of_subsampling(gaps_of(2))
    assert alike is not None
    assert alike.axes[0].get_ylim() == alike.axes[1].get_ylim()
