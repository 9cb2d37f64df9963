"""What each figure shows and how it was computed: the words under it on the page, and in place of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caption:
    """The words that go with a figure.

    Attributes
    ----------
    title : str
        What it is, in a few words.
    shows : str
        How to read it.
    computed : str
        Where its numbers come from.
    alternative : str
        What it shows, for those who do not see it.
    """

    title: str
    shows: str
    computed: str
    alternative: str


CAPTIONS = {
    "reward_vs_k.png": Caption(
        "Reward against k",
        "The discounted return that the trained pair of policies earns, against the number k of local agents that the "
        "global agent sees. Bars reach from the evaluation seeds' smallest mean to their largest, the band is the 95 % "
        "interval of the mean, lines without bars are exact returns or baselines.",
        "Markers are means over all rollouts of the n-agent game (exact returns where there are no rollouts). The "
        "interval is Student's t over rollouts: it tells how well these policies are measured, not how much another "
        "training would differ.",
        "Line chart of the mean discounted return against the subsample size k, with intervals",
    ),
    "difference_vs_k.png": Caption(
        "Gain over the next smaller k",
        "How much more the pair earns with k agents in view than with the next smaller k. Above the zero line, seeing "
        "more helped; an interval that crosses it leaves that open.",
        "The mean of paired differences: rollouts of the same evaluation seed have the same initial states and random "
        "numbers for every k. Bars are 95 % intervals (Student's t) over the pairs.",
        "Chart of the gain in return over the next smaller k against k, with 95 % intervals and a line at zero",
    ),
    "runtime_vs_k.png": Caption(
        "Training time against k",
        "Seconds that training the global policy takes, against k. The number of count vectors of k agents, and the "
        "time with it, grows as a power of k.",
        "Wall-clock time of the G-LEARN task as its worker measured it, without waiting and without the training of "
        "the shared local policy. From the table timings.",
        "Line chart of the wall-clock training time in seconds against the subsample size k",
    ),
    "mode_accuracy_vs_k.png": Caption(
        "Mode accuracy against k",
        "How often the global action is the local state that most agents are in. Higher means that the sample tells "
        "the global agent more about the population; 100 % is not always best for the return.",
        "Share of the steps of all rollouts at which the action is any of the most populated local states, mean over "
        "evaluation seeds. Defined where there are as many global actions as local states.",
        "Line chart of the mode accuracy in per cent of steps against the subsample size k",
    ),
    "nash_gap_vs_k.png": Caption(
        "Nash gap against k",
        "What deviating alone would gain: the global agent with a better policy, or one local agent with another one. "
        "Zero is an equilibrium. Grey lines are the rates of the theory, scaled to the first point.",
        "Exact gaps are brackets: the band reaches from a certified lower to a certified upper bound. Estimates come "
        "from paired rollouts, with 95 % intervals. Infinite horizon where the table nash_gaps says so.",
        "Chart of the gain by deviating, of the global agent and of one local agent, against the subsample size k",
    ),
    "price_of_subsampling.png": Caption(
        "The price of subsampling",
        "What the pair is worth with k agents in view, and what it would be worth if the global agent answered with "
        "all agents in view. The shaded distance is the price of seeing k only.",
        "Exact values over all steps to come: the pair's joint value, and that value plus the certified upper bound of "
        "the global agent's gain, from the table nash_gaps.",
        "Chart of the exact value with k agents in view and with all agents in view, against k",
    ),
    "zone_heatmap.png": Caption(
        "One rollout, agent by agent share",
        "The share of agents in each local state over time, one panel for each chosen k, with the global action and "
        "the most populated state on top. The closer the two lines, the better the sample served.",
        "One recorded rollout per k of the n-agent game, all from the same fixed seed, as stored in the results "
        "folder. It illustrates; the other figures measure.",
        "Heat map of the share of agents per local state over time, with the global action and the true mode overlaid",
    ),
    "alternation.png": Caption(
        "Convergence of the alternation",
        "The joint value of what each outer iteration proposed while the shared local policy was trained. Accepted "
        "proposals become the pair to improve on; reverted ones were worse and were dropped.",
        "From the table alternations: the mean over the alternation's own rollouts, on the same random numbers in "
        "each iteration, or the exact value where the sweep asks for it. Evaluation never uses these rollouts.",
        "Line chart of the joint value per outer iteration, with accepted and reverted proposals marked",
    ),
    "policy.png": Caption(
        "The learnt policies",
        "What a local agent does in each of its states, for each global state; and what the global agent does as more "
        "of the agents it sees are in the leading state.",
        "Probabilities of the shared local policy from the table local_policies. Global actions from the table "
        "global_policies, over count vectors in which one state leads and the others share the rest.",
        "Panels of action probabilities of the local policy per state, and of the global action per leading count",
    ),
    "timeline.png": Caption(
        "Tasks on workers over time",
        "When each task ran, and in which process. Gaps are workers that waited; a long last bar is a task that the "
        "others had to wait for.",
        "Start and wall-clock time of every task in the table timings, one line per host and process. Tasks of "
        "earlier sessions lie where they ran.",
        "Timeline of tasks as bars, one line per worker process, coloured by kind of task",
    ),
    "scaling.png": Caption(
        "How value and cost scale",
        "What a larger population n or a larger k does to the return and to the training time.",
        "Every setting of the grid that differs in n, at its evaluated k: returns as in the first figure, times from "
        "the table timings.",
        "Chart of return and training time against the size of the population or of the sample",
    ),
}
