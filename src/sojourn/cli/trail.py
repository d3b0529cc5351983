"""Reading the audit trail from its end, with a store that reads forwards from a number."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from sojourn.ports import AsyncStore, AuditLine

PAGE = 1000
RECENT_LINES = 200


@dataclass(frozen=True, slots=True)
class Trail:
    """The lines of the trail that concern somebody.

    Args:
        store: Where it is kept.
        subject: Whom they concern; None for all.
        sid: Which session; None for all.
    """

    store: AsyncStore
    subject: str | None = None
    sid: str | None = None

    async def after(self, number: int) -> list[AuditLine]:
        """Give all lines after one."""
        lines: list[AuditLine] = []
        while page := await self.page(lines[-1].number if lines else number, limit=PAGE):
            lines += page
            if len(page) < PAGE:
                break
        return lines

    async def last(self, count: int) -> list[AuditLine]:
        """Give the last lines, oldest first.

        The end is searched for by halves, then a window before it is widened until it holds
        enough: the cost goes by what is asked for, not by the length of the trail.
        """
        end = await self.end()
        width = max(count, 1)
        while True:
            start = max(0, end - width)
            lines = await self.after(start)
            if len(lines) >= count or start == 0:
                return lines[len(lines) - min(count, len(lines)) :]
            width *= 4

    async def end(self) -> int:
        """Find the number of the last line; 0 where there is none."""
        low, high = 0, 1
        while found := await self.page(high - 1, limit=1):
            low = found[0].number
            high = low * 2
        while high - low > 1:  # line `low` is there (or 0), none from `high` on
            middle = (low + high) // 2
            if found := await self.page(middle - 1, limit=1):
                low = found[0].number
            else:
                high = middle
        return low

    async def page(self, after: int, *, limit: int) -> list[AuditLine]:
        """Give a few lines after one."""
        return list(
            await self.store.read_audit(
                after=after, limit=limit, subject=self.subject, sid=self.sid
            )
        )


class Tail:
    """What comes after the lines that were shown.

    Where several processes write at once, a line can become visible a moment after one with a
    higher number. The latest are therefore looked at again, and what is new among them is new.

    Args:
        trail: What is followed.
        shown: The numbers that were shown already, the last one at the end; at least one.
    """

    def __init__(self, trail: Trail, shown: Iterable[int]) -> None:
        """Start after them."""
        self._trail = trail
        self._recent = deque(shown, maxlen=RECENT_LINES)

    async def more(self) -> list[AuditLine]:
        """Give what was not given before, in order."""
        seen = set(self._recent)
        lines = await self._trail.after(min(seen) - 1)
        new = [line for line in lines if line.number not in seen]
        self._recent.extend(line.number for line in new)
        return new
