"""One schedule, written for systemd and for cron: both mean the same minutes."""

import shutil
import subprocess
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textvae.errors import InputError
from textvae.scheduling.calendars import DAYS, Calendar

TIMES = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
SOME_DAYS = st.lists(st.sampled_from(DAYS), min_size=1, max_size=7).map(",".join)
WRITTEN = st.one_of(st.sampled_from(("hourly", "daily", "weekly", "monthly")), TIMES,
                    st.builds("{} {}".format, SOME_DAYS, TIMES))
MINUTES = st.datetimes(datetime(2024, 1, 1), datetime(2028, 12, 31))


def of_cron(fields: str, at: datetime) -> bool:
    """Whether cron starts a line with these five fields at a minute."""
    now = (at.minute, at.hour, at.day, at.month, at.isoweekday() % 7)
    return all(field == "*" or value in map(int, field.split(","))
               for field, value in zip(fields.split(), now, strict=True))


def of_systemd(text: str, at: datetime) -> bool:
    """Whether a timer with this OnCalendar elapses in a minute."""
    *days, date, time = text.split()
    if days and at.strftime("%a") not in days[0].split(","):
        return False
    now = (at.year, at.month, at.day, at.hour, at.minute)
    return all(field == "*" or int(field) == value
               for field, value in zip([*date.split("-"), *time.split(":")[:2]], now, strict=True))


def meant(text: str, at: datetime) -> bool:
    """Whether what a user wrote includes a minute, read without the code that is tested."""
    if text in ("hourly", "daily", "weekly", "monthly"):
        night = (at.hour, at.minute) == (3, 17)
        return {"hourly": at.minute == 17, "daily": night, "weekly": night and at.isoweekday() == 7,
                "monthly": night and at.day == 1}[text]
    *days, time = text.split()
    return at.strftime("%H:%M") == time and (not days or at.strftime("%a") in days[0])


@given(WRITTEN, MINUTES)
@settings(max_examples=300, derandomize=True)
def test_both_forms_mean_what_was_written(text, start):
    calendar = Calendar.parse(text)
    near = start.replace(minute=calendar.minute, hour=start.hour if calendar.hour is None else calendar.hour)
    month = start.replace(day=1, hour=3, minute=17)
    for at in (start, month, *(near + timedelta(days=days) for days in range(7)), near + timedelta(minutes=1)):
        assert of_cron(calendar.cron(), at) == of_systemd(calendar.on_calendar(), at) == meant(text, at)


@given(WRITTEN)
@settings(max_examples=50, derandomize=True)
def test_case_and_space_do_not_matter(text):
    assert Calendar.parse(f" {text.upper().replace(' ', '  ')} ") == Calendar.parse(text)


@pytest.mark.parametrize(("text", "written", "said"), [
    ("hourly", ("*-*-* *:17:00", "17 * * * *"), "every hour at minute 17"),
    ("daily", ("*-*-* 03:17:00", "17 3 * * *"), "daily 03:17"),
    ("weekly", ("Sun *-*-* 03:17:00", "17 3 * * 0"), "Sun 03:17"),
    ("monthly", ("*-*-01 03:17:00", "17 3 1 * *"), "on the 1st of each month at 03:17"),
    ("7:05", ("*-*-* 07:05:00", "5 7 * * *"), "daily 07:05"),
    ("Sun,Mon 23:59", ("Mon,Sun *-*-* 23:59:00", "59 23 * * 0,1"), "Mon,Sun 23:59"),
])
def test_what_is_written(text, written, said):
    calendar = Calendar.parse(text)
    assert (calendar.on_calendar(), calendar.cron()) == written
    assert str(calendar) == said


@pytest.mark.parametrize("text", ["", "yearly", "24:00", "03:60", "3", "Sunday 03:00", "Sun", "03:00 Sun", "Sun,03:00",
                                  "0 3 * * 0", "٠٣:٠٠", "03:00\nUser=root"])
def test_anything_else_is_told_what_is_allowed(text):
    with pytest.raises(InputError, match=r"is no schedule \(write hourly, daily, weekly, monthly, a time"):
        Calendar.parse(text)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="asks systemd itself")
@pytest.mark.parametrize("text", ["hourly", "daily", "weekly", "monthly", "07:05", "Mon,Wed,Sun 23:59"])
def test_systemd_and_cron_agree_about_the_next_times(text):
    calendar = Calendar.parse(text)
    done = subprocess.run(["systemd-analyze", "calendar", "--iterations=3", calendar.on_calendar()], check=True,
                          capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C"})
    lines = [line.split(": ", 1) for line in done.stdout.splitlines() if "elapse:" in line or "Iter" in line]
    times = [datetime.strptime(time.strip(), "%a %Y-%m-%d %H:%M:%S UTC") for _, time in lines]
    assert len(times) == 3 and all(of_cron(calendar.cron(), time) for time in times)
    for sooner, later in pairwise(times):
        minutes = range(1, int((later - sooner).total_seconds()) // 60)
        assert not any(of_cron(calendar.cron(), sooner + timedelta(minutes=past)) for past in minutes)
