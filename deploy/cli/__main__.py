"""`python -m deploy.cli` is `safebus`."""

from deploy.cli import main

main()
