"""The helpers of the neighbours that these tests use, by bare name, as the neighbours do."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
for folder in ("schemas",):
    if str(TESTS / folder) not in sys.path:
        sys.path.append(str(TESTS / folder))
