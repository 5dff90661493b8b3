"""What a measurement was made on, for the JSON beside its numbers."""

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

from textvae.manifests import provenance

RESULTS = Path(__file__).parent / "results"


def describe() -> dict[str, Any]:
    """Processor, cores, GPU, load, memory, the versions of Python and the packages, and what XLA was told."""
    cpu = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), "") if Path("/proc/cpuinfo").exists() else platform.processor()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return {"cpu": cpu, "cores": os.cpu_count(), "gpu": gpu(), "load": [round(load, 2) for load in os.getloadavg()],
            "memory_gib": round(memory / 2**30, 1), "system": platform.system(), "machine": platform.machine(),
            **({"xla_flags": os.environ["XLA_FLAGS"]} if "XLA_FLAGS" in os.environ else {}), **provenance()}


def gpu() -> str:
    """What NVIDIA's driver calls the GPU; nothing where there is none."""
    if not shutil.which("nvidia-smi"):
        return ""
    asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
