"""What the scenarios share: how one is declared, and what the log must say about it."""

from cases import SUITE
from harness.errors import expect, expect_that

# Row of the catalogue of failures -> names of the scenarios that make it.
MADE = {}


def scenario(name, *numbers, **options):
    """Declares the decorated function as the scenario of those rows."""

    def declare(function):
        for number in numbers:
            MADE.setdefault(number, []).append(name)
        SUITE.add(f"diagnosis/{name}", function, **options)
        return function

    return declare


def expect_cause(row, code, *named, inferred=False):
    """The row's foremost cause is this one, with these texts in its sentence, a fix, and no secret."""
    causes = row["properties"].get("causes", [])
    expect_that(causes, f"no cause in {row['resultDescription']!r}")
    first = causes[0]
    expect(first["code"], code, f"foremost cause of {[cause['code'] for cause in causes]}")
    expect(first["inferred"], inferred, f"{code}: inferred")
    for text in named:
        told = first["sentence"] + str(first.get("evidence"))
        expect_that(text in told, f"{code}: {text!r} is not in {told!r}")
    expect_that(first["fix"], f"{code}: has no fix")
    expect_that(first["docs"].endswith(code.lower()), f"{code}: {first['docs']}")
    return first


def cause_of_device(case, registration_id, code, *named, inferred=False):
    """The same of a device's last register request."""
    row = case.log.of_device(registration_id)[-1]
    return expect_cause(row, code, *named, inferred=inferred)


def cause_of_answer(case, answer, status, error_code, code, *named, inferred=False):
    """The same of an HTTP answer: its body is Azure's and nothing of the cause is in it."""
    body = answer.json
    expect((answer.status, body["errorCode"]), (status, error_code), "status and errorCode")
    expect(sorted(body), ["errorCode", "message", "timestampUtc", "trackingId"], "members of the body")
    expect_that(code not in answer.raw.decode(), "the cause is not told to the device")
    return expect_cause(case.log.of_error(body), code, *named, inferred=inferred)


def assignment(case, registration_id):
    """The line of the device's operation."""
    return case.log.of_device(registration_id, ("RegistrationAttempt",))[-1]
