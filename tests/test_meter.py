"""What a job used: seconds, memory, tokens, and the parts that used them."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from textvae.meter import Meter
from textvae.progress import Progress


def test_parts_are_timed_named_and_nested():
    meter = Meter(Progress())
    for epoch in (1, 2):
        with meter.task(f"vae epoch {epoch}/2", total=1) as advance:
            with meter.part("steps"):
                time.sleep(0.02)
                meter.count(100)
            with meter.part("validation"):
                time.sleep(0.01)
            advance(1, loss=1.0)
    found = meter.usage()
    parts = {part["part"]: part for part in found["parts"]}
    assert list(parts) == ["vae epoch", "vae epoch > steps", "vae epoch > validation"]
    assert parts["vae epoch"]["times"] == 2 and parts["vae epoch > validation"]["tokens"] == 0
    assert found["tokens"] == parts["vae epoch"]["tokens"] == parts["vae epoch > steps"]["tokens"] == 200
    assert 0.04 <= parts["vae epoch > steps"]["seconds"] < parts["vae epoch"]["seconds"] <= found["seconds"]
    assert parts["vae epoch"]["cpu_seconds"] < parts["vae epoch"]["seconds"], "sleeping costs no processor"


def test_a_part_that_fails_is_closed():
    meter = Meter(Progress())
    with pytest.raises(ValueError, match="bad"), meter.task("one"):
        raise ValueError("bad")
    with meter.part("two"):
        pass
    assert [part["part"] for part in meter.usage()["parts"]] == ["one", "two"]


def test_the_watcher_hears_everything():
    heard: list[object] = []

    class Hears(Progress):
        def say(self, message: str) -> None:
            heard.append(message)

        def task(self, label, total=None):
            heard.append((label, total))
            return super().task(label, total)

    meter = Meter(Hears())
    meter.say("news")
    with meter.task("epoch 1/2", 5):
        pass
    assert heard == ["news", ("epoch 1/2", 5)]


PEAK = """
import json
import numpy as np
from textvae import device
from textvae.meter import Meter
from textvae.progress import Progress
def peak():
    return Meter(Progress()).usage()["peak_memory"]
device.keep_freed()
before = peak()
meter = Meter(Progress())
held = np.ones(25_000_000)  # 200 MB
del held
during = meter.usage()["peak_memory"]
device.give_freed()
print(json.dumps([during > before + 150e6, peak() > before + 150e6]))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured anew on Linux only")
def test_peak_memory_is_of_the_job_alone():
    # A process of its own: what other tests left free in this one would be taken first.
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True, timeout=60)
    held, still = json.loads(done.stdout)
    assert held
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        pytest.skip("a container may forbid it")
    assert not still, "the next job begins anew"
