"""Numbers that say what they are: of what, how certain, and which side of the truth they are on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "exact", "lower bound", "upper bound", "estimate", "estimate of a lower bound", "estimate of an upper bound"
]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its kind, or the reason why there is none.

    Attributes
    ----------
    value : float or None
        The number, in units of discounted return.
    error : float or None
        Certified: the number itself is within this of ``value``. For estimates, half the width of
        its 95 % interval.
    kind : {"exact", "lower bound", "upper bound", "estimate", "estimate of a lower bound", ...}
        What the number says about ``of``.
    of : str
        What it is the value of.
    reason : str or None
        Why there is no value; None where there is one.
    """

    value: float | None
    error: float | None
    kind: Kind
    of: str
    reason: str | None = None

    def __str__(self) -> str:
        if self.value is None or self.error is None:
            return f"no value ({self.kind}): {self.of}; {self.reason}"
        return f"{self.value:.6g} ± {self.error:.1g} ({self.kind}): {self.of}"
