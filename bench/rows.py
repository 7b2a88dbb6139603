"""One line of the table of results."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One number. Without a target it is there to explain the others."""

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target was met; ``None`` without one."""
        if self.at_least is not None:
            return self.value >= self.at_least
        if self.at_most is not None:
            return self.value <= self.at_most
        return None

    @property
    def shown_value(self) -> str:
        return f"{_number(self.value)} {self.unit}".strip()

    @property
    def shown_target(self) -> str:
        if self.at_least is not None:
            return f"≥ {_number(self.at_least)} {self.unit}".strip()
        if self.at_most is not None:
            return f"≤ {_number(self.at_most)} {self.unit}".strip()
        return ""

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met}


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
