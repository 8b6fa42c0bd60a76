"""What a token looks like where it is written down."""

import re

#: A token, or an id that anyone can make of one, as the first secret of a bus makes it.
OF_THE_FIRST = re.compile(r"(?<![0-9a-f.-])([0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![0-9a-f-])")
