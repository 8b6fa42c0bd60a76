"""Any of enough people have the secret together, fewer have nothing, and a slip of the pen is named."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shamir_mnemonic import combine_mnemonics, generate_mnemonics
from shamir_mnemonic.shamir import EncryptedMasterSecret, split_ems
from shamir_mnemonic.wordlist import WORDLIST

from safebus.deploy.service import key_shares
from safebus.schemas.errors import BadInput

SECRET = bytes(range(32))


def shares(number: int = 5, needed: int = 3, secret: bytes = SECRET) -> list[key_shares.Share]:
    texts = key_shares.split(secret, number=number, needed=needed)
    return [key_shares.read(text, named=f"share {at}") for at, text in enumerate(texts, 1)]


def together(some: list[key_shares.Share], needed: int = 3) -> bytes:
    return key_shares.together(some, begin=some[0].begins, needed=needed)


ONE_SET = shares()
OTHER_SET = shares()


@given(st.binary(min_size=32, max_size=32), st.data())
def test_any_that_are_enough_give_the_secret_and_one_fewer_do_not(secret: bytes, data: st.DataObject) -> None:
    number = data.draw(st.integers(2, 16))
    needed = data.draw(st.integers(2, number))
    mixed = data.draw(st.permutations(shares(number, needed, secret)))

    assert together(mixed[:needed], needed) == together(mixed, needed) == secret
    with pytest.raises(BadInput, match=f"^{needed} shares are needed, and there are {needed - 1} "):
        together(mixed[: needed - 1], needed)


def test_one_of_one_is_for_carrying() -> None:
    [share] = shares(1, 1)

    assert together([share], 1) == SECRET


@pytest.mark.parametrize(("number", "needed"), [(5, 1), (3, 4), (17, 3), (0, 0), (2, 0), (1, 2)])
def test_a_split_that_protects_nothing_or_cannot_be_is_refused(number: int, needed: int) -> None:
    with pytest.raises(BadInput, match=rf"^{number} shares of which {needed} are needed cannot be made; expected"):
        key_shares.split(SECRET, number=number, needed=needed)


def test_what_is_written_down_by_hand_is_read() -> None:
    words = ONE_SET[0].words
    by_hand = "# a remark\n" + key_shares.in_rows(words).upper()

    assert key_shares.read(by_hand, named="paper").words == words
    assert key_shares.read(words.replace(" ", "\n"), named="paper").words == words


@given(at=st.integers(0, 32), other=st.sampled_from(WORDLIST))
def test_a_word_that_was_taken_for_another_is_named(at: int, other: str) -> None:
    words = ONE_SET[0].words.split()
    if words[at] == other:
        return
    words[at] = other

    with pytest.raises(BadInput) as refused:
        key_shares.read(" ".join(words), named="share 1")
    assert str(refused.value) == f"share 1: word {at + 1} is another than was written down"


def test_words_that_changed_places_are_named() -> None:
    words = PUBLISHED[0].split()
    words[6], words[7] = words[7], words[6]

    with pytest.raises(BadInput, match=r"^share 1: words 7 and 8 have changed places"):
        key_shares.read(" ".join(words), named="share 1")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({4: "refuge"}, "word 5 is not in the list of words of SLIP-0039"),
        ({4: "refuge", 9: "d4mage"}, "words 5, 10 are not in the list of words of SLIP-0039"),
        ({4: ""}, "found 32 words, a share has 33"),
        ({4: "academic", 11: "acid", 20: "acne"}, "its checksum does not hold: at least two words are others"),
    ],
)
def test_what_was_mistyped_is_said_and_no_word_repeated(wrong: dict[int, str], said: str) -> None:
    words = PUBLISHED[0].split()
    for at, word in wrong.items():
        words[at] = word

    with pytest.raises(BadInput) as refused:
        key_shares.read(" ".join(words), named="share 1")
    assert str(refused.value).startswith(f"share 1: {said}")
    assert not {"refuge", "d4mage", *words} & set(str(refused.value).split())


def test_a_share_of_another_backup_is_named() -> None:
    with pytest.raises(BadInput, match=r"^share 3 is of another backup: its words begin with "):
        together([*ONE_SET[:2], OTHER_SET[2]])


def test_the_same_share_twice_counts_once() -> None:
    with pytest.raises(BadInput, match=r"^3 shares are needed, and there are 2 \(given: 1, 2\)$"):
        together([ONE_SET[0], ONE_SET[1], ONE_SET[0]])


def test_shares_that_pass_the_checksum_and_do_not_go_together_are_refused() -> None:
    """Two splits of one secret whose first words are alike by chance, or by a forger."""
    sets = []
    for _ in range(2):
        ems = EncryptedMasterSecret.from_master_secret(SECRET, b"", 77, True, 0)
        [group] = split_ems(1, [(3, 5)], ems)
        sets.append([key_shares.read(one.mnemonic(), named=f"share {one.index + 1}") for one in group])

    with pytest.raises(BadInput, match=r"^share 1, share 2, share 3 do not go together"):
        together([*sets[0][:2], sets[1][2]])
    with pytest.raises(BadInput, match=r"^share 1 and share 1 are both share 1, with other words"):
        together([sets[0][1], sets[0][0], sets[1][0]])


def test_a_share_of_groups_is_not_ours() -> None:
    words = generate_mnemonics(2, [(2, 3), (2, 3)], SECRET)[0][0]

    with pytest.raises(BadInput, match="split into groups"):
        key_shares.read(words, named="theirs")


def test_every_combination_of_one_set_gives_the_same() -> None:
    assert {together(list(some)) for some in itertools.combinations(ONE_SET, 3)} == {SECRET}


#: Source: SLIP-0039, test vectors, number 45 (extendable, 2 of 3, 256 bits); the passphrase is "TREZOR".
PUBLISHED = (
    "western apart academic always artist resident briefing sugar woman oven coding club ajar merit pecan "
    "answer prisoner artist fraction amount desktop mild false necklace muscle photo wealthy alpha "
    "category unwrap spew losing making",
    "western apart academic acid answer ancient auction flip image penalty oasis beaver multiple thunder "
    "problem switch alive heat inherit superior teaspoon explain blanket pencil numb lend punish endless "
    "aunt garlic humidity kidney observe",
)
PUBLISHED_SECRET = "8dc652d6d6cd370d8c963141f6d79ba440300f25c467302c1d966bff8f62300d"


def test_shares_are_those_of_the_standard() -> None:
    """So that other software opens them when this one is not to be had, and a library that leaves it is found out."""
    read = [key_shares.read(words, named="published") for words in PUBLISHED]

    assert [(share.number, share.needed) for share in read] == [(3, 2), (1, 2)]
    assert combine_mnemonics([share.words for share in read], b"TREZOR").hex() == PUBLISHED_SECRET


def test_a_share_does_not_show_in_a_traceback() -> None:
    assert repr(ONE_SET[0]) == "Share(share 1, ▮)"
