"""Telling how far a sweep is until it has ended: drawn again in a terminal, told anew in a file."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from datetime import datetime, timezone
from time import sleep

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from distmarl.results.storage.location import Location
from distmarl.status.folder_status import FolderStatus, read_status
from distmarl.status.text import print_status, status_parts
from distmarl.terminal import can_redraw, has_reader


def follow(folder: Location, output: Console, every_s: float) -> FolderStatus:
    """Tell how far a sweep is until no process runs it any more, nobody reads it or Ctrl-C; return how far it came.

    Parameters
    ----------
    folder : Location
        Its results folder, which is read anew each time.
    output : Console
        Where to tell it. A file is told of changes only.
    every_s : float
        Seconds between two looks at the folder.
    """
    live = Live(console=output, auto_refresh=False, screen=True) if can_redraw(output) else None
    status, told = read_status(folder), None
    with suppress(KeyboardInterrupt), live or nullcontext():
        while status.writer is not None and has_reader(output):
            if live is not None:
                hint = Text(f"looked at every {every_s:g} s; Ctrl-C ends it", style="dim")
                live.update(Group(*status_parts(status, _now()), hint), refresh=True)
            elif status != told:
                print_status(status, output, _now())
                output.print()
            told = status
            sleep(every_s)
            status = read_status(folder)
    if live is not None or status != told:
        print_status(status, output, _now())
    return status


def _now() -> datetime:
    return datetime.now(timezone.utc)
