"""Child seeds by name: adding a stage or an epoch shifts nobody else's randomness."""

import hashlib


def child(seed: int, name: str) -> int:
    """Derive the seed of one named purpose from its parent's seed.

    Args:
        seed: The parent seed.
        name: What the child is for, such as ``"sequence_vae"`` or ``"epoch-3"``.

    Returns:
        An integer in ``[0, 2**31)``, the same on every machine.

    Example:
        >>> child(1, "tokens") == child(1, "tokens")
        True
        >>> child(1, "tokens") == child(2, "tokens")
        False
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogatepass")).digest()[:4], "big") >> 1


def fraction(name: str) -> float:
    """Map a name to a stable number in ``[0, 1)``; the same name gives the same number for ever.

    Example:
        >>> 0 <= fraction("posts/hello.md") < 1
        True
    """
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
