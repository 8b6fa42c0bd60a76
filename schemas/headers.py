"""
What stands on the outside of a message?

CloudEvents attributes in binary mode, and only those that say nothing about a person: the subject is never among them.

Source: CloudEvents 1.0.2, Kafka Protocol Binding, section 3.2.
"""

from __future__ import annotations

CONTENT_TYPE = "application/avro"


#: On whatever is about one event, and has another id: that event's.
EVENT = "sb_event"

#: On a published event, if its publisher says so: the fingerprint of the secret that its key was made with.
CASE_KEY_BY = "sb_case_key_by"

#: On a register record: the fingerprints of the person key, and of its digest key, that it was written under.
KEYS = "sb_keys"

#: On a record of `operations`: the certificate of who wrote it (DER), and its signature of the value.
CERTIFICATE, SIGNATURE = "sb_certificate", "sb_signature"


def cloud_event(*, id: str, source: str, type: str) -> list[tuple[str, bytes]]:
    """Headers of a message: id, source and type of the event, and how the value is encoded."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", id.encode()),
        ("ce_source", source.encode()),
        ("ce_type", type.encode()),
        ("content-type", CONTENT_TYPE.encode()),
    ]
