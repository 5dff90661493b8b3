"""What a measurement was made on, for the JSON beside its numbers."""

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

from textvae.manifests import provenance

RESULTS = Path(__file__).parent / "results"
WIDEST = ("amx_bf16", "avx512f", "avx2")  # what matrix products are made of, the fastest first


def describe() -> dict[str, Any]:
    """Processor, its widest instructions, cores, GPU, load, memory, versions, and what XLA was told."""
    about = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in about.splitlines())}
    flags = told.get("flags", "").split()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return {"cpu": told.get("model name") or platform.processor(),
            "instructions": next((own for own in WIDEST if own in flags), ""), "cores": os.cpu_count(), "gpu": gpu(),
            "load": [round(load, 2) for load in os.getloadavg()], "memory_gib": round(memory / 2**30, 1),
            "system": platform.system(), "machine": platform.machine(),
            **({"xla_flags": os.environ["XLA_FLAGS"]} if "XLA_FLAGS" in os.environ else {}), **provenance()}


def gpu() -> str:
    """What NVIDIA's driver calls the GPU; nothing where there is none."""
    if not shutil.which("nvidia-smi"):
        return ""
    asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
