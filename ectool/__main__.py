"""Run the command line as `python -m ectool`."""

from ectool.cli.main import main

main()
