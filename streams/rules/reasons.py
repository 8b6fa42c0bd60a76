"""
Why was it decided so, in words for a person who is no programmer, and by which rule?

The one table of the reasons of decisions. A decision names a `Code` and a `Rule`; what nobody could decide about is
set aside for a `GateReason` or an `Aside`; a field that leaves or stays names a `Rule`. Whoever gives a reason takes it
from here (`why`), whoever shows one says it from here (`say`, `source_of`), and docs/reference/reasons.md is made from
here. What is recorded are the names alone: of a `Code`, of a `Rule`, and of what is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, unique
from functools import lru_cache
from typing import Final, NewType

from safebus.schemas.bus_records import Reason
from safebus.schemas.gate import GateReason
from safebus.streams.rules.agreements import Status
from safebus.streams.rules.consent import State

Words = NewType("Words", str)


def words(text: str) -> Words:
    """What only people read. It may be put better without another rules digest: see `deploy.service.rules_digest`."""
    return Words(text)


@unique
class Rule(Enum):
    """Every rule that is decided by, and where it comes from."""

    R01 = words("no sharing without an agreement (HL7 refrain policy NOMOU; ICO data sharing code)")
    R02 = words("an agreement past its review lapses after its days of grace")
    R03 = words("UK GDPR Art 6(1), last sentence: not for public authorities in their tasks")
    R04 = words("UK GDPR Art 6(1)(e), as amended by the Data (Use and Access) Act 2025 s.70: the controller's own task")
    R06 = words("Crime and Disorder Act 1998 s.115")
    R07 = words("UK GDPR Art 9 and Art 10; Data Protection Act 2018 ss.10-11, Sch 1")
    R09 = words("a basis holds from the day it is commenced, where it is law")
    R10 = words("Housing Act 1996 s.213AA and the like: told only with agreement")
    R11 = words("a wish does not stop a report of harm (Working Together; DfE advice 2024)")
    R12 = words("UK GDPR Art 7(3): withdrawal works from now on")
    R13 = words("competence by age (Gillick; Family Law Reform Act 1969 s.8; Housing Act 1996 s.213AA(3))")
    R14 = words("whoever is alleged to have harmed neither agrees nor takes back for the child")
    R15 = words("what needs a person's judgement is a person's: Children Act 2004 s.16LA(3); HL7 NODSCLCD, HUAPRV")
    R16 = words("PDS FHIR API, v3-Confidentiality R")
    R17 = words("one message for each recipient and each person in its care")
    R21 = words("same event, agreement and rules give the same bytes")
    R23 = words("what takes back or corrects goes to whoever had the original (UK GDPR Art 19)")
    R24 = words("no delivery on a doubtful identity")
    R25 = words("nobody sees an adopted or restricted person's earlier number, which would tie it to the present one")
    R27 = words("a refusal is recorded like a permit")
    R28 = words("a refusal beats a permit")
    ADVERSARY = words("nothing goes to where the alleged perpetrator works or governs (safebus, absolute)")
    TOLD_APART = words(
        "whoever is told must be able to tell who is meant (safebus; PDS: number, name and date of birth; N02)"
    )
    PLAUSIBLE = words("what cannot be as it says is looked at by a person (safebus; N02, N05)")
    # About fields; a mask may follow, after a comma.
    AGREEMENT = words("named by the agreement")
    ENVELOPE = words("stands around every notification, so that it can be filed and asked about")
    NOT_NAMED = words("the agreement does not name it")
    PROSE = words("free text leaves only when the agreement names the very field")
    SINCE = words("newer than the schema the agreement was signed over")
    SAFE_PLACE = words("a safe address is written where ordinary ones stand, so none of these leaves")
    NEVER = words("no agreement may release it")


#: Rules of the domain that are not decided by the bus yet. Their place: `streams.rules`, beside those above.
LATER: Final[Mapping[str, Words]] = {
    "R05": words("a request for a public task must be linked"),
    "R08": words("Sch 1 para 18 must say why without consent"),
    "R18": words("open cases also go to the allocated worker"),
    "R19": words("urgent ones need a person's receipt"),
    "R20": words("re-disclosure"),
    "R22": words("replay modes beyond verify"),
    "R26": words("stop routing without audit"),
}


class Use(StrEnum):
    """What a reason is given for."""

    PERMIT = "permit"
    REFUSAL = "refusal"
    HOLD = "hold"  # a person decides
    STOP = "stop"  # only when a permitted notification is about to be handed over


@dataclass(frozen=True, eq=False)
class CodeEntry:
    """
    One reason.

    Attributes:
        sentence: `{about}` is the basis, agreement or party meant.
        rules: Those it is given by; of several, whoever gives it says which.
    """

    use: Use
    sentence: Words
    rules: tuple[Rule, ...]


def _permit(rule: Rule, sentence: Words) -> CodeEntry:
    return CodeEntry(Use.PERMIT, sentence, (rule,))


def _refusal(rules: Rule | tuple[Rule, ...], sentence: Words) -> CodeEntry:
    return CodeEntry(Use.REFUSAL, sentence, rules if isinstance(rules, tuple) else (rules,))


def _hold(rule: Rule, sentence: Words) -> CodeEntry:
    return CodeEntry(Use.HOLD, sentence, (rule,))


def _stop(rule: Rule, sentence: Words) -> CodeEntry:
    return CodeEntry(Use.STOP, sentence, (rule,))


_AVAILABLE = (Rule.R03, Rule.R04)
#: R10: when it is decided; R12: when it is about to be handed over.
_AGREED = (Rule.R10, Rule.R12)


class Code(Enum):
    """Every reason of a decision. Stable: they are on record."""

    PERMITTED = _permit(Rule.R01, words("covered by {about}"))
    AGREEMENT_REVIEW_OVERDUE = _permit(
        Rule.R02, words("agreement {about} is past its review date and in its days of grace")
    )
    RESTRICTED_PERSON = _permit(Rule.R16, words("someone's record is restricted: {about}"))
    SAFE_ADDRESS_SHOWN = _permit(Rule.R16, words("a safe address is written as an ordinary one, too: {about}"))
    SUSPECT_NOT_MATCHED = _permit(
        Rule.ADVERSARY,
        words("{about} could not be matched to anybody, so where they work or govern could not be checked"),
    )
    NO_NOT_THEIRS = _permit(
        Rule.R14, words("a refusal or withdrawal of {about} does not count: it was not theirs to make for this person")
    )
    OBJECTION_RECORDED = _permit(Rule.R11, words("an objection is on record; shared all the same: {about}"))
    TAKES_BACK = _permit(Rule.R23, words("had the notification that this one takes back, under {about}"))
    CLAIM_UNKNOWN = _permit(
        Rule.R09,
        words("the publisher claims {about}, which the catalogue does not have; decided by the agreement's basis"),
    )
    NOT_A_CODE = _permit(
        Rule.PROSE, words("what stands in {about} is no known code, so it is taken for free text and withheld")
    )
    WHO_IS_UNCLEAR = _permit(
        Rule.TOLD_APART,
        words("what {about} may have does not say which person is meant; it goes all the same, and says whom to ask"),
    )
    UNKNOWN_PARTNER = _refusal(Rule.R01, words("{about} is not in the register"))
    PARTNER_SUSPENDED = _refusal(Rule.R01, words("{about} is suspended"))
    ADVERSARY = _refusal(Rule.ADVERSARY, words("the alleged perpetrator works for or governs {about}"))
    ADVERSARY_BEFORE = _refusal(
        Rule.ADVERSARY,
        words("the alleged perpetrator of an earlier notification of this episode works for or governs {about}"),
    )
    ADVERSARY_STANDING = _refusal(
        Rule.ADVERSARY, words("someone recorded as a danger to a person of this event works for or governs {about}")
    )
    VERY_RESTRICTED = _hold(Rule.R16, words("marked very restricted: a person must decide, not the bus"))
    NOT_AUTHORISED = _hold(
        Rule.R15,
        words(
            "the publisher asks that nothing is disclosed without the person's authorisation ({about}); "
            "a person must decide"
        ),
    )
    APPROVAL_ASKED = _hold(Rule.R15, words("the publisher asks that a human approves ({about}); a person must decide"))
    ADVERSARY_POSSIBLE = _hold(
        Rule.ADVERSARY,
        words(
            "somebody they must be protected from, accused or on record, may work for or govern {about}: it rests on a "
            "name or a birth date; a person must look"
        ),
    )
    ADVERSARY_UNCLEAR = _hold(
        Rule.ADVERSARY,
        words(
            "the alleged perpetrator works for an agency that the register does not have, and {about} resembles it; "
            "a person must look"
        ),
    )
    ADVERSARY_PERHAPS_BEFORE = _hold(
        Rule.ADVERSARY,
        words(
            "the alleged perpetrator of an earlier notification of this episode may work for or govern {about}; "
            "a person must look"
        ),
    )
    COMES_TOO_LATE = _hold(
        Rule.R23,
        words(
            "what this adds to was retracted before, so it may be late or wrong as well; a person must look before "
            "{about} hears of it"
        ),
    )
    EPISODE_UNKNOWN = _hold(
        Rule.ADVERSARY,
        words(
            "this follows a notification that the bus has no record of, so whether that one kept {about} out is not "
            "known; a person must look"
        ),
    )
    PROHIBITED = _refusal(Rule.R28, words("expressly forbidden by {about}"))
    NO_AGREEMENT = _refusal(Rule.R01, words("no agreement with this publisher covers this kind of notification"))
    PURPOSE_NOT_COVERED = _refusal(Rule.R01, words("agreement {about} does not cover this purpose"))
    AGREEMENT_DRAFT = _refusal(Rule.R01, words("agreement {about} is a draft"))
    AGREEMENT_SUSPENDED = _refusal(Rule.R01, words("agreement {about} is suspended"))
    AGREEMENT_TERMINATED = _refusal(Rule.R01, words("agreement {about} was terminated"))
    AGREEMENT_NOT_YET = _refusal(Rule.R01, words("agreement {about} has not begun"))
    PARTY_NOT_SIGNED = _refusal(Rule.R01, words("{about} had not signed by this day"))
    AGREEMENT_EXPIRED = _refusal(Rule.R02, words("agreement {about} has expired, or was not reviewed in time"))
    AGREEMENT_ENDED = _stop(Rule.R01, words("agreement {about} no longer has this flow"))
    AGREEMENT_NARROWED = _stop(Rule.R21, words("agreement {about} has released less since the decision"))
    RESTRICTED_SINCE = _stop(Rule.R16, words("the person's record was restricted after the decision"))
    NOT_IN_CARE = _refusal(Rule.R01, words("agreement {about} is for those with another part in this person's care"))
    SUBJECT_NOT_COVERED = _refusal(Rule.R01, words("agreement {about} is not about persons in this role"))
    BASIS_UNKNOWN = _refusal(Rule.R09, words("the catalogue has no such basis: {about}"))
    BASIS_NOT_IN_FORCE = _refusal(Rule.R09, words("{about} was not in force there on that day"))
    BASIS_NOT_AVAILABLE = _refusal(_AVAILABLE, words("{about} is not open to this kind of body"))
    GATEWAY_RECIPIENT = _refusal(
        Rule.R06, words("{about} allows disclosure to a relevant authority only, and this recipient is none")
    )
    NO_POWER_OR_DUTY = _refusal(Rule.R01, words("{about}, a public authority, names no power or duty to share"))
    CONSENT_NOT_ASKED_FOR = _refusal(
        Rule.R10, words("{about} may go only with agreement, and this flow does not ask for it")
    )
    NOT_YET_HAPPENED = _hold(Rule.PLAUSIBLE, words("{about} lies in the future"))
    NOT_A_CHILD = _hold(
        Rule.PLAUSIBLE, words("{about} was 18 or older when it happened, and this duty is about children")
    )
    NOT_AN_ADULT = _hold(
        Rule.PLAUSIBLE, words("{about} was younger than 18 when it happened: a child, whom other duties are about")
    )
    NOT_PLAUSIBLE = _hold(Rule.PLAUSIBLE, words("{about} cannot be so: it contradicts another date or the calendar"))
    BASIS_CLAIMS_CONSENT = _refusal(
        Rule.R10, words("{about} holds only with agreement, and this flow does not wait for it")
    )
    CONSENT_NOT_THEIRS = _refusal(
        Rule.R13, words("agreement to {about} was given by someone who may not give it for this person")
    )
    CONSENT_UNSURE = _refusal(
        Rule.R14,
        words(
            "it is not known whether whoever gave agreement to {about} may give it for this person; a person must look"
        ),
    )
    REFUSAL_UNSURE = _refusal(
        Rule.R14,
        words(
            "it is not known whether whoever refused or took back agreement to {about} may do so for this person; "
            "a person must look"
        ),
    )
    CONSENT_UNKNOWN = _refusal(_AGREED, words("nobody has recorded agreement to {about}"))
    CONSENT_REQUESTED = _refusal(_AGREED, words("agreement to {about} was asked for and not answered"))
    CONSENT_DEFERRED = _refusal(_AGREED, words("asking for agreement to {about} was put off"))
    CONSENT_REFUSED = _refusal(_AGREED, words("agreement to {about} was refused"))
    CONSENT_EXPIRED = _refusal(_AGREED, words("agreement to {about} has run out"))
    CONSENT_INVALIDATED = _refusal(_AGREED, words("agreement to {about} was found invalid"))
    CONSENT_REVOKED = _refusal(_AGREED, words("agreement to {about} was revoked on the person's behalf"))
    CONSENT_WITHDRAWN = _refusal(_AGREED, words("agreement to {about} was withdrawn"))


#: What keeps a flow from carrying an event, by where the consent stands; it holds in the states that are not here.
NOT_AGREED: Final[Mapping[State, Code]] = {
    State.UNKNOWN: Code.CONSENT_UNKNOWN,
    State.REQUESTED: Code.CONSENT_REQUESTED,
    State.DEFERRED: Code.CONSENT_DEFERRED,
    State.REFUSED: Code.CONSENT_REFUSED,
    State.EXPIRED: Code.CONSENT_EXPIRED,
    State.INVALIDATED: Code.CONSENT_INVALIDATED,
    State.REVOKED: Code.CONSENT_REVOKED,
    State.WITHDRAWN: Code.CONSENT_WITHDRAWN,
}
#: The same, by the status of an agreement that is not active.
NOT_ACTIVE: Final[Mapping[Status, Code]] = {
    Status.DRAFT: Code.AGREEMENT_DRAFT,
    Status.SUSPENDED: Code.AGREEMENT_SUSPENDED,
    Status.TERMINATED: Code.AGREEMENT_TERMINATED,
}


class Aside(StrEnum):
    """Why nothing, or not all, was decided about an event that the gate let in. Stable, as `GateReason`."""

    WRONG_SOURCE = "WRONG_SOURCE"
    ID_REUSED = "ID_REUSED"
    REDO_DIFFERS = "REDO_DIFFERS"
    DECISION_TOO_LARGE = "DECISION_TOO_LARGE"
    NO_RECIPIENT = "NO_RECIPIENT"
    FOR_A_PERSON = "FOR_A_PERSON"
    ORIGINAL_UNKNOWN = "ORIGINAL_UNKNOWN"
    NOBODY_HAD_IT = "NOBODY_HAD_IT"
    DUTY_UNMET = "DUTY_UNMET"
    MAYBE_KNOWN = "MAYBE_KNOWN"
    IDENTITY_AMBIGUOUS = "IDENTITY_AMBIGUOUS"
    IDENTITY_MISMATCH = "IDENTITY_MISMATCH"
    TEST_NUMBER = "TEST_NUMBER"


#: Everything that the worker sets events aside for; the `detail` beside it says where and what was found.
SET_ASIDE: Final[Mapping[GateReason | Aside, Words]] = {
    GateReason.EMPTY: words("the record has no value"),
    GateReason.TOO_LARGE: words("the value is larger than any real event"),
    GateReason.NOT_SINGLE_OBJECT: words("the value does not begin as an Avro single-object encoding does"),
    GateReason.UNKNOWN_SCHEMA: words("the value was written under a schema that the bus does not know"),
    GateReason.TRUNCATED: words("the value ends before its last field does"),
    GateReason.TRAILING_BYTES: words("something follows the last field"),
    GateReason.INVALID_UTF8: words("a text is not UTF-8"),
    GateReason.BAD_INDEX: words("an enum or a union has no such branch"),
    GateReason.BAD_BOOLEAN: words("a boolean is neither 00 nor 01"),
    GateReason.BAD_BLOCK: words("a block of a list says another number of bytes than its items take"),
    GateReason.OVERLONG_NUMBER: words("a number takes more bytes than it needs, which no encoder writes"),
    GateReason.NUMBER_OUT_OF_RANGE: words("a number does not fit into the bits that its type has"),
    GateReason.IMPOSSIBLE_VALUE: words("a value cannot exist: a date, a length, a number that fails its check digit"),
    GateReason.NOT_CANONICAL: words(
        "a record of the bus's own is not what the bus writes; of events until 0.2, that a list came in blocks"
    ),
    GateReason.TOO_MANY_ITEMS: words("a list is longer than any real one"),
    GateReason.TOO_LONG_STRING: words("a text is longer than any real one"),
    GateReason.TOO_MANY_HEADERS: words("the record has too many headers, or too long ones"),
    GateReason.BAD_KEY: words("the record has no case key, or one that is too long"),
    GateReason.BAD_HEADER: words("the name of a header is not UTF-8"),
    GateReason.BATCH_TOO_LARGE: words("the batch that the record came in is too large when it is unpacked"),
    GateReason.UNREADABLE_BATCH: words("the batch that the record came in is broken, or of a format that nobody reads"),
    GateReason.IN_TRANSACTION: words("the record stands in a transaction, so its publisher could still undo it"),
    Aside.WRONG_SOURCE: words("the event names another publisher than the agency whose topic it came on"),
    Aside.ID_REUSED: words("the event id was used before, for other content"),
    Aside.REDO_DIFFERS: words("decided before by other rules, and what was sent then is not known"),
    Aside.DECISION_TOO_LARGE: words(
        "what would be decided is larger than a record can be: it is about too many people for too many partners; "
        "publish it in parts"
    ),
    Aside.NO_RECIPIENT: words("nobody is told of someone whom the event is about"),
    Aside.FOR_A_PERSON: words("decided, and someone must look at a part of it that the bus does not decide"),
    Aside.ORIGINAL_UNKNOWN: words(
        "it takes back an event that the bus has no record of, or not of all that belongs to it, so who had that must "
        "be found by hand"
    ),
    Aside.DUTY_UNMET: words(
        "a duty names whom to tell of a child like this, such as the school, and none is told: the register knows of "
        "none, or nothing that was agreed covers it"
    ),
    Aside.MAYBE_KNOWN: words(
        "names and birth date are those of a known person, and the number is not theirs, or there is none: those who "
        "have them in care were not told"
    ),
    Aside.NOBODY_HAD_IT: words(
        "it takes back an event that the bus sent to nobody; whoever was told of that by a person must be told of this"
    ),
    Aside.IDENTITY_AMBIGUOUS: words("the identifiers of a subject point to several people, or several subjects to one"),
    Aside.IDENTITY_MISMATCH: words("name or date of birth do not confirm the identifier of a subject"),
    Aside.TEST_NUMBER: words(
        "a subject goes by an NHS number that is for trying only and nobody's, and this bus is about real people"
    ),
}


@lru_cache(maxsize=2048)  # one event is answered some ten times, mostly for the same reasons
def why(code: Code, about: str, *, rule: Rule | None = None) -> Reason:
    """
    A reason as it is recorded.

    Args:
        about: The basis, agreement or party meant.
        rule: Which of the code's rules, where it has several.

    Raises:
        ValueError: The code has several rules and none is named, or it is not given by this one.
    """
    rules = code.value.rules
    [chosen] = rules if rule is None else [each for each in rules if each is rule]
    return Reason(code=code.name, rule=chosen.name, about=about)


def say(reason: Reason) -> str:
    """A reason as a sentence."""
    return Code[reason.code].value.sentence.format(about=reason.about)


def source_of(rule: str) -> str:
    """Where a rule comes from; a field rule may carry a mask after a comma."""
    return Rule[rule.split(",", 1)[0]].value
