"""``python -m terraphim_runner``: the command line."""

from terraphim_runner.cli.main import main

main()
