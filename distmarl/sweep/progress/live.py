"""How a sweep is going, drawn in a terminal: a bar for each phase, the expected end and the last result."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from distmarl.study.kinds import KINDS
from distmarl.sweep.progress.lines import WatchedProgress
from distmarl.sweep.progress.tally import Tally
from distmarl.sweep.progress.watch import Watch, resident_memory
from distmarl.wording import SEPARATOR, counted, duration, fitting_label, packed, shortened

REFRESHES_PER_S = 4
MAX_BAR, MIN_BAR = 30, 8
MIN_NAMES = 26


class LiveProgress(WatchedProgress):
    """Draws how things stand below what else is printed, and draws it again."""

    def __init__(self, console: Console, watch: Watch) -> None:
        super().__init__(console, watch)
        self._is_over = False
        self._live = Live(self, console=console, refresh_per_second=REFRESHES_PER_S)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bars as they are, and what they took."""
        self._is_over = True
        self._live.stop()

    def start(self, tally: Tally, where: str) -> None:
        """Say where the tasks run and draw the bars."""
        super().start(tally, where)
        self._live.start()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Draw how things stand, in the width that there is."""
        yield Group(self._bars(options.max_width), *self._lines(options.max_width))

    def _bars(self, width: int) -> Table:
        """Return a line for each phase, with whatever fits: its bar, and what runs."""
        tally, running = self._watch.tally, self._watch.running()
        kinds = [kind for kind in KINDS if tally.total[kind]]
        counts = {kind: f"{tally.done[kind]:,}/{tally.total[kind]:,}" for kind in kinds}
        failures = max((len(_failures(tally, kind)) for kind in kinds), default=0)
        widest = max(map(len, counts.values()), default=0)
        longest = min(max((len(KINDS[kind].plural) for kind in kinds), default=0), width - widest - failures - 2)
        room = width - longest - widest - 4
        bar = min(MAX_BAR, room - failures) if room - failures >= MIN_BAR else 0
        if bar and room - failures - MIN_NAMES - 1 >= MIN_BAR:
            bar = min(bar, room - failures - MIN_NAMES - 1)
        table = Table.grid(padding=(0, 1, 0, 0))
        for kind in kinds:
            names = [] if self._is_over else running.get(kind, [])
            cells: list[RenderableType] = [Text(shortened(KINDS[kind].plural, longest), no_wrap=True)]
            cells += [ProgressBar(tally.total[kind], tally.done[kind], width=bar)] if bar else []
            note = Text(_failures(tally, kind), style="red")
            if (free := room - bar - failures - 1) >= MIN_NAMES:
                note.append(_shown(names, free), style="dim")
            table.add_row(*cells, Text(counts[kind], justify="right", no_wrap=True), note)
        return table

    def _lines(self, width: int) -> Iterator[Text]:
        """Yield when it ends and what came in last; at the end, what it took."""
        watch = self._watch
        if self._is_over:
            yield Text(f"{counted(watch.n_ended, 'task')} in {duration(watch.elapsed_s)}")
            return
        workers = f"{counted(watch.n_slots, 'worker')} on {counted(watch.n_nodes, 'node')}"
        memory = resident_memory()
        times = [f"{duration(round(watch.elapsed_s))} gone", watch.time_left, watch.throughput]
        for parts in (times, [watch.overdue], [workers, f"driver {memory}" if memory else ""]):
            yield from (Text(line, no_wrap=True) for line in packed(parts, width))
        if watch.last is not None:
            label, result = watch.last
            label = fitting_label(label, max(0, width - len(f"last {SEPARATOR}{result}")))
            text = shortened(SEPARATOR.join(part for part in (label, result) if part), width - len("last "))
            yield Text.assemble(("last ", "dim"), text, no_wrap=True)


def _failures(tally: Tally, kind: str) -> str:
    return f"{tally.failed[kind]:,} failed " if tally.failed[kind] else ""


def _shown(names: list[str], width: int) -> str:
    """Return as many names as fit, and how many there are more."""
    for number in range(len(names), 0, -1):
        more = f" and {len(names) - number:,} more" if number < len(names) else ""
        text = "; ".join(names[:number]) + more
        if len(text) <= width:
            return text
    one = fitting_label(names[0], width) if len(names) == 1 else ""
    return one or (f"{len(names):,} running" if names else "")
