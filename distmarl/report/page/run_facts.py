"""What was run: the sessions, versions, machines and failures of a results folder, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from distmarl.paths import shell_words
from distmarl.report.numbers import node_cpus
from distmarl.study.kinds.kind import key_of
from distmarl.wording import counted, duration

MAX_FAILURES = 100  # on the page; a traceback is long
MAX_SESSIONS = 100
UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the command.

    Attributes
    ----------
    started, duration, outcome, tasks, host, resources, versions, commit, command, platform : str
        In words; what is not known is said to be.
    """

    started: str
    duration: str
    outcome: str
    tasks: str
    host: str
    resources: str
    versions: str
    commit: str
    command: str
    platform: str


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What was run.

    Attributes
    ----------
    sweep : str
        The sweep's name.
    settings_file : str
        ``sweep.yaml``: the sweep with every default filled in.
    sessions : list of Session
        The last ``MAX_SESSIONS`` that have written to the folder, oldest first.
    n_sessions : int
        How many have.
    last_ended : str, optional
        When the last session ended; None for one that was killed or still runs.
    duration : str, optional
        How long the sessions that ended took together; None where none has.
    """

    sweep: str
    settings_file: str
    sessions: list[Session]
    n_sessions: int
    last_ended: str | None
    duration: str | None


@dataclass(frozen=True, slots=True)
class FailureFacts:
    """A task that failed and has not succeeded since: its name, its error, and what may explain it."""

    name: str
    error: str
    where: str
    details: list[tuple[str, str]]


def run_facts(provenance: Mapping[str, Any], settings_file: str) -> RunFacts:
    """Return what was run.

    Parameters
    ----------
    provenance : mapping
        The content of ``provenance.json``.
    settings_file : str
        The content of ``sweep.yaml``.
    """
    sessions = provenance.get("sessions", [])
    seconds = [_seconds(session) for session in sessions]
    known = [value for value in seconds if value is not None]
    ended = sessions[-1].get("ended_at") if sessions else None
    return RunFacts(
        str(provenance["sweep"]),
        settings_file,
        [_session(*each) for each in list(zip(sessions, seconds, strict=True))[-MAX_SESSIONS:]],
        len(sessions),
        _time(ended) if ended else None,
        duration(round(sum(known))) if known else None,
    )


def failures(rows: pd.DataFrame, labels: Mapping[str, str]) -> list[FailureFacts]:
    """Return the tasks that failed, at most ``MAX_FAILURES``.

    Parameters
    ----------
    rows : DataFrame
        The table ``failures``.
    labels : mapping
        The settings' labels, by their ids.
    """
    return [_failure(row, labels) for row in rows.head(MAX_FAILURES).to_dict("records")]


def _failure(row: Mapping[Any, Any], labels: Mapping[str, str]) -> FailureFacts:
    label = labels.get(row["setting_id"], row["setting_id"])
    parts = [label, *(f"{name} = {number}" for name, number in key_of(row).numbers)]
    name = ", ".join(part for part in parts if part)
    where = [] if pd.isna(row["hostname"]) else [f"on {row['hostname']}"]
    if not pd.isna(row["failed_at"]):
        where.append(f"{row['failed_at']:%d %b %Y, %H:%M} UTC")
    texts = (("Traceback", "traceback"), ("Arguments", "arguments"), ("End of its log", "log_tail"))
    details = [(head, str(row[column])) for head, column in texts if not pd.isna(row[column]) and row[column]]
    return FailureFacts(f"{row['task']} {name}".strip(), str(row["error"]), ", ".join(where), details)


def _session(session: Mapping[str, Any], seconds: float | None) -> Session:
    commit = session.get("commit")
    packages = {"distmarl": session.get("distmarl"), "Python": session.get("python"), **session.get("packages", {})}
    return Session(
        started=_time(session["started_at"]),
        duration=UNKNOWN if seconds is None else duration(round(seconds)),
        outcome=str(session.get("outcome", "killed, or still running")),
        tasks=f"{session['done']} done, {session['failed']} failed" if {"done", "failed"} <= {*session} else UNKNOWN,
        host=str(session.get("hostname", UNKNOWN)),
        resources=_resources(session.get("resources", {})),
        versions=", ".join(f"{name} {version}" for name, version in packages.items() if version) or UNKNOWN,
        commit=UNKNOWN if commit is None else f"{commit}{' with changes' if session.get('dirty') else ''}",
        command=shell_words(session.get("command", [])),
        platform=str(session.get("platform", UNKNOWN)),
    )


def _resources(resources: Mapping[str, Any]) -> str:
    nodes = resources.get("nodes", [])
    if not nodes:
        return ", ".join(f"{name} {value}" for name, value in resources.items()) or UNKNOWN
    memory = sum(node.get("memory", 0) for node in nodes) / 2**30
    where = "local Ray" if resources.get("address") == "local" else f"Ray at {resources.get('address')}"
    return f"{where}: {counted(len(nodes), 'node')}, {node_cpus(nodes):g} CPUs, {memory:.0f} GiB"


def _seconds(session: Mapping[str, Any]) -> float | None:
    """Return how long a session took; None where it has not ended, or a clock was set back meanwhile."""
    if "ended_at" not in session:
        return None
    time = datetime.fromisoformat(session["ended_at"]) - datetime.fromisoformat(session["started_at"])
    return time.total_seconds() if time.total_seconds() >= 0 else None


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text):%d %b %Y, %H:%M} UTC"
