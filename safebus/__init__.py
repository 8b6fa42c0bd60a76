"""safebus: the folders of this repository, under one name. See README.md."""
