"""`python -m qngd`."""

from qngd.cli.commands import main

main()
