"""An answer in time: cheaper tiers when the models are slow, a refusal when too much waits."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from feed_platform.serving.schemas import Tier

MODEL_SHARE = 0.5  # of a deadline: what a model may take
QUEUE_SHARE = 0.5  # of a deadline: what a request may have waited before it is refused
RECENT, TOO_MANY = 8, 4
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds
ALWAYS: Tier = "recency"

Clock = Callable[[], float]


class Breaker:
    """Holds a tier back while it is slow.

    Opens when 4 of the last 8 attempts took longer than `budget`; lets one through after a second, then
    after twice as long each time, and closes when one is in time.
    """

    def __init__(self, budget: float, clock: Clock = time.monotonic) -> None:
        self._budget, self._clock = budget, clock
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._wait = FIRST_WAIT
        self._retry_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the tier is held back."""
        return self._retry_at is not None

    def allows(self, remaining: float) -> bool:
        """Whether an attempt may begin with so many seconds left."""
        if self._retry_at is not None:
            return self._clock() >= self._retry_at
        return remaining > self._expected()

    def took(self, seconds: float) -> None:
        """Note an attempt."""
        was_open, is_slow = self.is_open, seconds > self._budget
        self._recent.append(seconds)
        if was_open and not is_slow:
            self._recent.clear()
            self._retry_at, self._wait = None, FIRST_WAIT
        elif was_open or (is_slow and sum(one > self._budget for one in self._recent) >= TOO_MANY):
            self._wait = min(self._wait * 2, LONGEST_WAIT) if was_open else FIRST_WAIT
            self._retry_at = self._clock() + self._wait

    def _expected(self) -> float:
        """The median of the recent attempts; of a few nobody can tell."""
        return sorted(self._recent)[RECENT // 2] if len(self._recent) == RECENT else 0.0


class Turn:
    """How long requests wait for this process: those that a turn of the event loop finds ready are
    answered one after another, and the last of them has waited for all others."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None

    def began(self) -> float:
        """When the turn that this request is answered in began."""
        if self._began is None:
            self._began = self._clock()
            asyncio.get_running_loop().call_soon(self._end)
        return self._began

    def _end(self) -> None:
        self._began = None


@dataclass
class Pace:
    """One replica's: what each tier took lately.

    Args:
        deadline: seconds that an answer may take.
    """

    deadline: float
    on_skip: Callable[[Tier], None] = lambda tier: None
    clock: Clock = time.monotonic
    breakers: dict[Tier, Breaker] = field(default_factory=dict)

    def due(self, began: float) -> "Due":
        """A request's own deadline."""
        return Due(self, began + self.deadline)

    def is_too_late(self, began: float) -> bool:
        """Whether a request has waited so long that it had better be refused."""
        return self.clock() - began > self.deadline * QUEUE_SHARE

    def breaker(self, tier: Tier) -> Breaker:
        """The tier's."""
        if tier not in self.breakers:
            self.breakers[tier] = Breaker(self.deadline * MODEL_SHARE, self.clock)
        return self.breakers[tier]


@dataclass(frozen=True)
class Due:
    """Until when one answer is wanted."""

    pace: Pace
    at: float

    @property
    def began(self) -> float:
        """When the request came."""
        return self.at - self.pace.deadline

    def allows(self, tier: Tier) -> bool:
        """Whether a tier may be tried: there is time for it, and it isn't held back; recency always."""
        may = tier == ALWAYS or self.pace.breaker(tier).allows(self.at - self.pace.clock())
        if not may:
            self.pace.on_skip(tier)
        return may

    def now(self) -> float:
        """The time on its clock, in seconds."""
        return self.pace.clock()

    def took(self, tier: Tier, began: float) -> None:
        """Note what a tier took since `began`."""
        self.pace.breaker(tier).took(self.now() - began)
