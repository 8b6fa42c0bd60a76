"""What stands on the outside of a message."""

from safebus.schemas.headers import cloud_event


def test_headers_are_cloudevents_in_binary_mode() -> None:
    """Source: CloudEvents 1.0.2, Kafka Protocol Binding, 3.2."""
    found = cloud_event(id="e-1", source="htest-police", type="police.encompass.v1")

    assert found == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"e-1"),
        ("ce_source", b"htest-police"),
        ("ce_type", b"police.encompass.v1"),
        ("content-type", b"application/avro"),
    ]


def test_no_header_is_about_a_person() -> None:
    """`ce_subject` is where CloudEvents would put the child."""
    names = {name for name, _ in cloud_event(id="e-1", source="htest-police", type="police.encompass.v1")}

    assert names == {"ce_specversion", "ce_id", "ce_source", "ce_type", "content-type"}
