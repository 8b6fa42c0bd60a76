"""Writes events as the bus takes them, with Apache's own avro-python3."""

# shown: begins
# pip install avro-python3
import io

import avro.io
import avro.schema


def schema_of(file):
    return avro.schema.parse(open(file, encoding="utf-8").read())


def value(schema, begins, event):
    """`begins`: from `safebus schemas`, as `c30198c73cdcb9494936`; dates are days and times milliseconds since 1970."""
    out = io.BytesIO()
    avro.io.DatumWriter(schema).write(event, avro.io.BinaryEncoder(out))
    return bytes.fromhex(begins) + out.getvalue()


# shown: ends
