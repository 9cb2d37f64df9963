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
        "One rollout, step by step",
        "The share of agents in each local state over time, a panel for each of at most four k. Lines above and below "
        "a state mark it as the most populated one; of several that tie, each. A dot is a global action that is a most "
        "populated state, a cross one that is not; where global actions are no local states, they are a line with an "
        "axis of its own.",
        "The first rollout of the first evaluation seed for each k, from the same start and on the same random "
        "numbers, of the first setting that has one; the shares are those of all n agents. From the table rollouts. "
        "It illustrates; the other figures measure.",
        "Heat maps of the share of agents per local state over time, one for each k, with the most populated states "
        "outlined and the global actions marked",
    ),
    "alternation.png": Caption(
        "Convergence of the alternation",
        "The joint value of what each outer iteration proposed while the shared local policy was trained. The line "
        "goes through the proposals that were kept; a cross was reverted, because it fell more than "
        "alternating.convergence_rtol, relatively, below the best value so far. The policy that is used is that of "
        "the best proposal.",
        "From the table alternations: the mean over the alternation's own rollouts, on the same random numbers in "
        "each iteration, or the exact value where the sweep asks for it. Evaluation never uses these rollouts.",
        "Line chart of the joint value of the kept proposals per outer iteration, with crosses for reverted ones",
    ),
    "policy.png": Caption(
        "The learnt policies",
        "Top: the probability of each local action in each local state, a panel for each global state. Below: the "
        "commonest global action by which state is the most populated of the agents seen, and by how many of them are "
        "in it. Bottom, where global actions are local states: the share of views in which the action is the most "
        "populated state, against the share of the agents seen that are there, a line for each of at most four k.",
        "Of the first setting that has policies, from the tables local_policies and global_policies; the second row "
        "is that of the largest k. Views are count vectors with a single largest entry, all weighted alike, however "
        "often they are met; the bottom row takes all global states together.",
        "Panels of the local policy's action probabilities, of the commonest global action by the most populated "
        "state seen and its count and, where it is defined, of the share of views in which the action is that state",
    ),
    "timeline.png": Caption(
        "Tasks over time",
        "When the tasks ran, coloured by their kind. A row is a slot of a host: it has as many as it ever ran tasks at "
        "once. Blank is a slot that waited; a long last bar is a task that the others had to wait for. Long times in "
        "which nothing ran, as between two sessions, are cut out at the dotted lines.",
        "Start and wall-clock time of every task of the sweep's settings in the table timings. Each task takes the "
        "first free slot of its host, also one that ran on several cores; tasks too close to be told apart are drawn "
        "as one bar. The CPUs are those that every session started with; they are busy by the tasks' processor time.",
        "Timeline of tasks as bars coloured by kind, in as many rows per host as it ever ran tasks at once",
    ),
    "scaling.png": Caption(
        "Return against the size of the population",
        "Left: the return against the number n of local agents, a line for each of at most four k. Right: how much "
        "less it is than at the largest k. A row for each combination of the grid's other values.",
        "Returns are exact where they are known, else means over rollouts with their 95 % interval (Student's t) as "
        "a bar. What is lost is the difference of these returns for the same n; settings that lack the row's "
        "largest k have none.",
        "Line charts, for several k, of the return and of what it lacks against the largest k, over the number of "
        "local agents",
    ),
}
