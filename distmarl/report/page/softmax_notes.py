"""What the page says where the softmax of the local agents has its minimum temperature, at a price."""

from __future__ import annotations

import pandas as pd

# As for the warning before the run: the minimum decides in most (s_g, s_l), and the softmax gives away more than this
# share of what the greedy policy earns more than random actions.
MOST, NOTABLE_GAIN = 0.5, 0.1
KNOWN = ("minimum_share", "blind_softmax_value", "blind_greedy_value")
RANDOM = "random_value"


def softmax_notes(alternations: pd.DataFrame) -> list[str]:
    """Return a sentence for each setting in which the greedy policy would have earned clearly more."""
    if not set(alternations) >= {*KNOWN, RANDOM}:
        return []
    softmaxes = alternations.dropna(subset=[*KNOWN]).groupby("setting_id", sort=False).last()
    notes = []
    for _, last in softmaxes.iterrows():
        softmax, greedy = last["blind_softmax_value"], last["blind_greedy_value"]
        # Rows of an earlier version do not know what random actions earn.
        at_random = 0.0 if pd.isna(last[RANDOM]) else last[RANDOM]
        price = NOTABLE_GAIN * abs(greedy - at_random)
        if last["minimum_share"] >= MOST and greedy - softmax > price:
            setting = f"{last['label']}: " if last["label"] else ""
            notes.append(
                f"{setting}local_agent.softmax_temperature_min makes the local policy in "
                f"{100 * last['minimum_share']:.0f} % of (s_g, s_l). Against a global agent that sees nobody it earns "
                f"{softmax:.4g} over all steps, the greedy policy {greedy:.4g}. So the share of full information below "
                "is of what is possible with this local policy, not of what is possible with the best one. Set "
                "local_agent.softmax_temperature_unit to range, or local_agent.policy to greedy."
            )
    return notes
