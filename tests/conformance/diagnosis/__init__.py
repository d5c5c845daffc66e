"""Failures of real users, made again with real clients: the device hears Azure's bytes, the operator the cause.

A module per family of causes. `rows.py` says for each row of the catalogue of failures which scenario makes it, or why
there is none. A scenario checks what the device saw, that the right cause stands first, and that its sentence
names the very things.
"""

from diagnosis import (  # noqa: F401
    allocation,
    connection,
    enrollments,
    identity,
    links,
    management,
    preconditions,
    rows,
    symmetric_key,
    timeline,
    tpm,
    x509,
)
