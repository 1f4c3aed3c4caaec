"""`python -m qngd`."""

from qngd.cli import main

main()
