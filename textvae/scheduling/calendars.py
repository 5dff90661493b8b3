"""When something is done regularly, said once and written as systemd's timers and as cron want it."""

import re
from dataclasses import dataclass
from typing import Self

from textvae.errors import InputError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# At night, and not on the hour: GitHub starts jobs late or drops them at the start of every hour. From 3 to 4 no clock
# is put forward or back in most of the world.
HOUR, MINUTE = 3, 17
ALLOWED = ("hourly, daily, weekly, monthly, a time such as 03:30, or days and a time such as 'Sun 03:00' or "
           "'Mon,Thu 03:00'")


@dataclass(frozen=True)
class Calendar:
    """The minutes at which something is done.

    Args:
        minute: Of the hour, 0 to 59.
        hour: Of the day, 0 to 23; None is every hour.
        days: Of the week, 0 is Monday; empty is every day.
        monthly: Only on the first day of a month.

    Example:
        >>> Calendar.parse("Sun 03:00").on_calendar(), Calendar.parse("Sun 03:00").cron()
        ('Sun *-*-* 03:00:00', '0 3 * * 0')
    """

    minute: int
    hour: int | None = None
    days: tuple[int, ...] = ()
    monthly: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what a user wrote, upper case or lower.

        Args:
            text: ``hourly``, ``daily``, ``weekly`` or ``monthly``, which are at night; ``HH:MM``; or ``DAYS HH:MM``.

        Raises:
            InputError: Anything else.

        Example:
            >>> Calendar.parse("weekly") == Calendar.parse("sun 03:17")
            True
            >>> Calendar.parse("yearly")
            Traceback (most recent call last):
            textvae.errors.InputError: 'yearly' is no schedule (write hourly, daily, weekly, monthly, ...
        """
        named = {"hourly": cls(MINUTE), "daily": cls(MINUTE, HOUR), "weekly": cls(MINUTE, HOUR, (DAYS.index("Sun"),)),
                 "monthly": cls(MINUTE, HOUR, monthly=True)}
        plain = text.strip().lower()
        if plain in named:
            return named[plain]
        day = "|".join(DAYS).lower()
        found = re.fullmatch(rf"((?:{day})(?:,(?:{day}))*\s+)?([01]?[0-9]|2[0-3]):([0-5][0-9])", plain)
        if not found:
            raise InputError(f"{text!r} is no schedule", f"write {ALLOWED}")
        days, hour, minute = found.groups()
        numbers = {DAYS.index(name.title()) for name in days.strip().split(",")} if days else ()
        return cls(int(minute), int(hour), tuple(sorted(numbers)))

    def on_calendar(self) -> str:
        """The value of OnCalendar in a systemd timer."""
        days = ",".join(DAYS[day] for day in self.days)
        date = "*-*-01" if self.monthly else "*-*-*"
        hour = "*" if self.hour is None else f"{self.hour:02}"
        return f"{days} {date} {hour}:{self.minute:02}:00".strip()

    def cron(self) -> str:
        """The five fields of a crontab: minute, hour, day of the month, month, day of the week."""
        hour = "*" if self.hour is None else str(self.hour)
        days = ",".join(str(day) for day in sorted((day + 1) % 7 for day in self.days))  # cron's 0 is Sunday
        return f"{self.minute} {hour} {'1' if self.monthly else '*'} * {days or '*'}"

    def __str__(self) -> str:
        """As a user reads it, such as ``Sun 03:17``."""
        if self.hour is None:
            return f"every hour at minute {self.minute}"
        when = "on the 1st of each month" if self.monthly else ",".join(DAYS[day] for day in self.days) or "daily"
        return f"{when} {'at ' if self.monthly else ''}{self.hour:02}:{self.minute:02}"
