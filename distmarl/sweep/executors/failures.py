"""What is kept of a task that failed: columns of the table ``failures``."""

from __future__ import annotations

import inspect
import reprlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np

from distmarl.study.job import Job
from distmarl.study.kinds.kind import TaskKey, TaskResult


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task yielded nothing.

    Attributes
    ----------
    error : str
        Type and message of the exception.
    traceback : str
        The exception's traceback.
    arguments : str
        The task's arguments, in short.
    log_tail : str or None
        The end of what the task wrote to its standard streams, if it is known.
    hostname : str or None
        Where it ran; None if it never did.
    failed_at : datetime
        When.
    """

    error: str
    traceback: str
    arguments: str
    log_tail: str | None
    hostname: str | None
    failed_at: datetime


def describe_failure(
    error: BaseException,
    function: Callable[..., TaskResult],
    arguments: tuple[Any, ...],
    log_tail: str | None,
    hostname: str | None,
) -> Failure:
    """Return an exception, and the task that it ended, as columns of the table ``failures``."""
    return Failure(
        error=f"{type(error).__name__}: {error}",
        traceback="".join(traceback.format_exception(error)),
        arguments=describe_arguments(function, arguments),
        log_tail=log_tail,
        hostname=hostname,
        failed_at=datetime.now(timezone.utc),
    )


def describe_arguments(function: Callable[..., TaskResult], arguments: tuple[Any, ...]) -> str:
    """Return a task's arguments by name: arrays by their type and shape, a setting by its name."""
    names = (name.lstrip("_") for name in inspect.signature(function).parameters)
    return ", ".join(f"{name}={_short(value)}" for name, value in zip(names, arguments, strict=False))


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, Job):
        label = f" ({value.setting.label})" if value.setting.label else ""
        return f"setting {value.setting_id}{label}"
    if isinstance(value, TaskKey):
        return str(value)
    return reprlib.repr(value) if isinstance(value, (bool, int, float, str, type(None))) else type(value).__name__
