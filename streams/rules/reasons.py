"""
What does a reason mean, in words for a person who is no programmer, and where does it come from?

Every code that the rules give has a sentence here; a test holds the two together.
"""

from __future__ import annotations

from safebus.schemas.bus_records import Reason

#: Code -> sentence; `{about}` is the basis, agreement or party meant.
SENTENCES: dict[str, str] = {
    "PERMITTED": "covered by {about}",
    "AGREEMENT_REVIEW_OVERDUE": "agreement {about} is past its review date and in its days of grace",
    "RESTRICTED_PERSON": "someone's record is restricted: {about}",
    "SUSPECT_NOT_MATCHED": "{about} is in no register, so where they work or govern could not be checked",
    "OBJECTION_RECORDED": "an objection is on record; shared all the same: {about}",
    "UNKNOWN_PARTNER": "{about} is not in the register",
    "PARTNER_SUSPENDED": "{about} is suspended",
    "ADVERSARY": "the alleged perpetrator works for or governs {about}",
    "VERY_RESTRICTED": "marked very restricted: a person must decide, not the bus",
    "PROHIBITED": "expressly forbidden by {about}",
    "NO_AGREEMENT": "no agreement with this publisher covers this kind of notification",
    "PURPOSE_NOT_COVERED": "agreement {about} does not cover this purpose",
    "AGREEMENT_DRAFT": "agreement {about} is a draft",
    "AGREEMENT_SUSPENDED": "agreement {about} is suspended",
    "AGREEMENT_TERMINATED": "agreement {about} was terminated",
    "AGREEMENT_NOT_YET": "agreement {about} has not begun",
    "AGREEMENT_EXPIRED": "agreement {about} has expired, or was not reviewed in time",
    "AGREEMENT_ENDED": "agreement {about} no longer has this flow",
    "AGREEMENT_NARROWED": "agreement {about} has released less since the decision",
    "RESTRICTED_SINCE": "the person's record was restricted after the decision",
    "NOT_IN_CARE": "agreement {about} is for those with another part in this person's care",
    "SUBJECT_NOT_COVERED": "agreement {about} is not about persons in this role",
    "BASIS_UNKNOWN": "the catalogue has no such basis: {about}",
    "BASIS_NOT_IN_FORCE": "{about} was not in force there on that day",
    "BASIS_NOT_AVAILABLE": "{about} is not open to this kind of body",
    "GATEWAY_RECIPIENT": "{about} allows disclosure to a relevant authority only, and this recipient is none",
    "NO_POWER_OR_DUTY": "{about}, a public authority, names no power or duty to share",
    "CONSENT_NOT_ASKED_FOR": "{about} may go only with agreement, and this flow does not ask for it",
    "CONSENT_UNKNOWN": "nobody has recorded agreement to {about}",
    "CONSENT_REQUESTED": "agreement to {about} was asked for and not answered",
    "CONSENT_DEFERRED": "asking for agreement to {about} was put off",
    "CONSENT_REFUSED": "agreement to {about} was refused",
    "CONSENT_EXPIRED": "agreement to {about} has run out",
    "CONSENT_INVALIDATED": "agreement to {about} was found invalid",
    "CONSENT_REVOKED": "agreement to {about} was revoked on the person's behalf",
    "CONSENT_WITHDRAWN": "agreement to {about} was withdrawn",
}

#: Rule -> where it comes from.
SOURCES: dict[str, str] = {
    "R01": "no sharing without an agreement (HL7 refrain policy NOMOU; ICO data sharing code)",
    "R02": "an agreement past its review lapses after its days of grace",
    "R03": "UK GDPR Art 6(1), last sentence: not for public authorities in their tasks",
    "R04": "UK GDPR Art 6(1)(e), as amended by the Data (Use and Access) Act 2025 s.70: the controller's own task",
    "R06": "Crime and Disorder Act 1998 s.115",
    "R07": "UK GDPR Art 9 and Art 10; Data Protection Act 2018 ss.10-11, Sch 1",
    "R09": "a basis holds from the day it is commenced, where it is law",
    "R10": "Housing Act 1996 s.213AA and the like: told only with agreement",
    "R11": "a wish does not stop a report of harm (Working Together; DfE advice 2024)",
    "R12": "UK GDPR Art 7(3): withdrawal works from now on",
    "R16": "PDS FHIR API, v3-Confidentiality R",
    "R17": "one message for each recipient and each person in its care",
    "R21": "same event, agreement and rules give the same bytes",
    "R24": "no delivery on a doubtful identity",
    "R27": "a refusal is recorded like a permit",
    "R28": "a refusal beats a permit",
    "ADVERSARY": "nothing goes to where the alleged perpetrator works or governs (safebus, absolute)",
    # Rules about fields
    "AGREEMENT": "named by the agreement",
    "NOT_NAMED": "the agreement does not name it",
    "PROSE": "free text leaves only when the agreement names the very field",
    "SINCE": "newer than the schema the agreement was signed over",
    "NEVER": "no agreement may release it",
}

#: Rules of the domain that are not decided by the bus yet. Their place: `streams.rules`, beside those above.
LATER = {
    "R05": "a request for a public task must be linked",
    "R08": "Sch 1 para 18 must say why without consent",
    "R13": "competence by age",
    "R14": "a parent who is the alleged perpetrator neither gives nor withdraws",
    "R15": "the detriment test is a person's",
    "R18": "open cases also go to the allocated worker",
    "R19": "urgent ones need a person's receipt",
    "R20": "re-disclosure",
    "R22": "replay modes beyond verify",
    "R23": "corrections follow the original",
    "R25": "merge and adoption",
    "R26": "stop routing without audit",
}


def say(reason: Reason) -> str:
    """A reason as a sentence."""
    return SENTENCES[reason.code].format(about=reason.about)


def source_of(rule: str) -> str:
    """Where a rule comes from; a field rule may carry a mask after a comma."""
    return SOURCES[rule.split(",", 1)[0]]
