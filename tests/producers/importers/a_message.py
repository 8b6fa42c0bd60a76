"""A small NEMS message, of which each test changes what it is about. The person in it is invented (block 999)."""

from pathlib import Path

CASES = Path(__file__).parents[2] / "data" / "cases" / "ways-in"
#: Ava Hart, born 2015-03-02, moved to 9 Test Row on 2026-06-01; changed 2026-06-02 09:00, sent 10:00.
MOVED = (CASES / "nems" / "a_apostrophe_curly_vs_straight.xml").read_text("utf-8").replace("O'Brien", "O’Brien")
DIED = (
    (CASES / "nems" / "d_before_birth.xml")
    .read_text("utf-8")
    .replace("2014-06-01T15:00:00+00:00", "2026-06-01T15:00:00+00:00")
)
BORN = (CASES / "nems" / "b_deceased_false.xml").read_text("utf-8")

HOME = MOVED[MOVED.index("<address>") : MOVED.index("</address>") + len("</address>")]
NAME = MOVED[MOVED.rindex("<name>") : MOVED.rindex("</name>") + len("</name>")]


def swapped(text: str, *pairs: tuple[str, str]) -> bytes:
    """The message with other words in it. Each must be there, or the test tests nothing."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text.encode()


def home(line: str, *, start: str = "", end: str = "", use: str = "home", kind: str = "") -> str:
    """One address."""
    period = "".join(f'<{name} value="{text}"/>' for name, text in (("start", start), ("end", end)) if text)
    kind = f'<type value="{kind}"/>' if kind else ""
    return f'<address><use value="{use}"/>{kind}<line value="{line}"/><period>{period}</period></address>'


def name(given: str, family: str, *, use: str = "official", start: str = "", end: str = "") -> str:
    """One name; an empty part is left out."""
    parts = "".join(f'<{part} value="{text}"/>' for part, text in (("family", family), ("given", given)) if text)
    period = "".join(f'<{each} value="{text}"/>' for each, text in (("start", start), ("end", end)) if text)
    use = f'<use value="{use}"/>' if use else ""
    return f"<name>{use}{parts}<period>{period}</period></name>"
