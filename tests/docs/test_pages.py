"""What the pages point to is there."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from a_page import PAGES, ROOT, Page

pytestmark = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)

_OURS = re.compile(r"(schemas|streams|producers|consumers|deploy|docs|tests|safebus)/[\w./*{},\[\]-]*")


def test_every_link_leads_somewhere(page: Page) -> None:
    broken = []
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme:
            continue
        to = (ROOT / page.path).parent / parts.path if parts.path else ROOT / page.path
        if not to.exists() or (parts.fragment and parts.fragment not in Page(str(to.relative_to(ROOT))).anchors):
            broken.append(link)

    assert broken == []


def test_every_file_that_it_names_is_there(page: Page) -> None:
    """A path in backticks is a promise to a reader who goes looking; in the changelog it was one."""
    if page.path == "CHANGELOG.md":
        return
    paths = [found for found in page.named if _OURS.fullmatch(found)]

    assert [path for path in paths if not any(ROOT.glob(path.rstrip("/")))] == []
