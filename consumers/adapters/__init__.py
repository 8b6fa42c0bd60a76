"""
How does a parcel reach a partner's own system?

Each adapter gives the same `body` in its transport's form, and turns what came back into a `Reply`.

    module     the partner has it when    a repeat is known by                safe by
    webhook    its server answered 2xx    webhook-id                          signature, TLS, public addresses only
    folder     the file has its name      file name (also in `collected/`)    mode 0600, whole or not there
    postgres   the row is committed       (notification_id, kind), digest     INSERT alone, TLS off this machine

`port` is what they share. A withdrawal of consent is a parcel of its own, of kind `consent.withdrawn`: it has the
notification's id and another key, so that a partner that drops repeats does not drop it.
"""
