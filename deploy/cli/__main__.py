"""`python -m safebus.deploy.cli` is `safebus`."""

from safebus.deploy.cli import main

main()
