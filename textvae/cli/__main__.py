"""``python -m textvae.cli`` is the command ``textvae``."""

from textvae.cli import main

main()
