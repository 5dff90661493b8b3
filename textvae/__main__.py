"""``python -m textvae`` is the command ``textvae``."""

from textvae.cli import main

main()
