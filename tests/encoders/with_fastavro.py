"""Writes events as the bus takes them, with fastavro."""

# shown: begins
# pip install fastavro
import io
import json

import fastavro
import fastavro.schema


def schema_of(file):
    return fastavro.parse_schema(json.load(open(file, encoding="utf-8")))


def value(schema, event):
    """C3 01, the fingerprint of the schema, and the event."""
    fingerprint = fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(schema), "CRC-64-AVRO")
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, event)
    return b"\xc3\x01" + bytes.fromhex(fingerprint) + out.getvalue()


# shown: ends
