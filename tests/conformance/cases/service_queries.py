"""Queries and bulk operations through the official service clients, in every mode and to the last page, and what
stands underneath on the wire.
"""

import base64
import os

from cases import SUITE
from harness import pki, python_sdk, raw_https, sas
from harness.credentials import Key, client_certificates, symmetric_key, tpm
from harness.device_sdks import NodeHttp, expect_error_body
from harness.errors import expect, expect_that, refusal

API = "?api-version=2021-10-01"


def endorsement_key():
    """A TPM2B_PUBLIC of RSA-2048 with the standard policy and a key that no chip has."""
    policy = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
    head = bytes.fromhex("0001000b000300b20020") + policy + bytes.fromhex("00060080004300100800000000000100")
    area = head + bytes([0x80 | os.urandom(1)[0]]) + os.urandom(254) + b"\x01"
    return base64.b64encode(len(area).to_bytes(2, "big") + area).decode()


def starting_with(prefix, member="registrationId"):
    """Only what one case made: others run at the same time."""
    return f"SELECT * FROM enrollments WHERE STARTSWITH({member}, '{prefix}')"


def node_query(case, method, text, *more):
    """All items of a query of the Node client."""
    return case.node.call(
        "serviceQuery",
        connectionString=case.service_connection_string,
        method=method,
        parameters=[{"query": text}, *more],
    )


def python_pages(operation, *arguments, **options):
    """The pages of a query of the Python client."""
    with python_sdk.raised():
        return [list(page) for page in operation(*arguments, **options).by_page()]


def enrolled(case, prefix, count, **fields):
    """That many individual enrollments, made in bulk by the Node client; their ids."""
    names = [f"{prefix}-{number:03}" for number in range(count)]
    for start in range(0, count, 10):
        some = [
            {"registrationId": name, "attestation": symmetric_key(), **fields} for name in names[start : start + 10]
        ]
        answer = case.service("runBulkEnrollmentOperation", {"mode": "create", "enrollments": some})
        expect((answer["isSuccessful"], answer["errors"]), (True, []), "bulk create")
        gone = [{"registrationId": item["registrationId"]} for item in some]
        case.at_end(case.service, "runBulkEnrollmentOperation", {"mode": "delete", "enrollments": gone})
    return names


def bulk_errors(answer, member="registrationId"):
    """Id and code of each error of a bulk operation."""
    expect(answer["isSuccessful"], not answer["errors"], "isSuccessful")
    for error in answer["errors"]:
        expect(sorted(error), sorted([member, "errorCode", "errorStatus"]), "members of an error")
    return [(error[member], error["errorCode"]) for error in answer["errors"]]


@SUITE.case("service-api/node/query")
def query(case):
    """All pages of a query, by texts of the samples and by a condition."""
    names = [case.name("query") for _ in range(3)]
    for name in names:
        case.enroll(name, symmetric_key(), deviceId=f"{name}-device")
    for text in ("SELECT * FROM enrollments", "select *", "*", ""):
        found = node_query(case, "createIndividualEnrollmentQuery", text, 2)
        missing = set(names) - {enrollment["registrationId"] for enrollment in found}
        expect(missing, set(), f"enrollments that {text!r} misses")
    condition = f"e.deviceId = '{names[1]}-device' OR registrationId = '{names[2].upper()}'"
    text = f"SELECT * FROM enrollments e WHERE {condition}"
    found = node_query(case, "createIndividualEnrollmentQuery", text)
    expect(sorted(item["registrationId"] for item in found), sorted(names[1:]), "enrollments of the condition")
    got = case.service("getIndividualEnrollment", names[1])
    expect_that("registrationState" in got, "a GET has registrationState")
    row = next(item for item in found if item["registrationId"] == names[1])
    expect(row, {name: value for name, value in got.items() if name != "registrationState"}, "row of the query")


@SUITE.case("service-api/node/query-of-groups")
def query_of_groups(case):
    """Groups alike."""
    prefix = case.name("group")
    names = [f"{prefix}-{number}" for number in range(5)]
    for name in names:
        case.enroll_group(name, symmetric_key())
    found = node_query(case, "createEnrollmentGroupQuery", "SELECT * FROM enrollmentGroups", 2)
    missing = set(names) - {group["enrollmentGroupId"] for group in found}
    expect(missing, set(), "groups that the query misses")
    found = node_query(case, "createEnrollmentGroupQuery", starting_with(prefix, "enrollmentGroupId"), 2)
    expect([group["enrollmentGroupId"] for group in found], names, "groups of the condition")


@SUITE.case("service-api/node/query-refused")
def query_refused(case):
    """A text that is not understood is an error that says where, and never everything."""
    for text, part in (
        ("SELECT * FROM enrollments ORDER BY etag", 'at character 27 ("ORDER")'),
        ("SELECT * WHERE registrationID = 'a'", "Write registrationId"),
        ("SELECT * WHERE attestation.symmetricKey.primaryKey = 'a'", "cannot be asked about"),
    ):
        error = refusal("ArgumentError", node_query, case, "createIndividualEnrollmentQuery", text)
        expect((error.status, error.result["errorCode"]), (400, 400004), "status and code")
        expect_error_body(error.result, None, None)
        expect_that(part in error.result["message"], f"{text}: {error.result['message']}")


@SUITE.case("service-api/node/bulk")
def bulk(case):
    """Every mode on individual enrollments, with partial success."""
    prefix = case.name("bulk")
    names = enrolled(case, prefix, 3)

    def run(mode, *items):
        return bulk_errors(case.service("runBulkEnrollmentOperation", {"mode": mode, "enrollments": list(items)}))

    def item(name, **fields):
        return {"registrationId": name, "attestation": symmetric_key(), **fields}

    fresh = f"{prefix}-fresh"
    expect(run("create", item(names[0]), item(fresh)), [(names[0], 409201)], "create of one that exists")
    etag = case.service("getIndividualEnrollment", names[0])["etag"]
    errors = run("update", item(names[0], etag=etag, provisioningStatus="disabled"), item(names[1]))
    expect(errors, [(names[1], 409201)], "update without an etag, as recorded on Azure")
    expect(case.service("getIndividualEnrollment", names[0])["provisioningStatus"], "disabled", "after the update")
    current = case.service("getIndividualEnrollment", names[1])
    current.pop("registrationState")
    errors = run("updateIfMatchETag", {**current, "deviceId": "named"}, item(names[0], etag=etag), item(names[2]))
    expect(errors, [(names[0], 412001), (names[2], 400004)], "updateIfMatchETag with an old etag and with none")
    expect(case.service("getIndividualEnrollment", names[1])["deviceId"], "named", "deviceId after the update")
    errors = run("delete", item(names[0]), {"registrationId": names[1]}, {"registrationId": fresh}, item("no-such-one"))
    expect(errors, [("no-such-one", 404201)], "delete")
    left = node_query(case, "createIndividualEnrollmentQuery", starting_with(prefix))
    expect([enrollment["registrationId"] for enrollment in left], [names[2]], "what is left")


@SUITE.case("service-api/node/bulk-items-by-themselves")
def bulk_items_by_themselves(case):
    """What breaks a rule is its own item's error: a bad id, one id twice, one certificate twice."""
    names = [case.name("bulk") for _ in range(4)]
    for name in names:
        case.at_end(case.service, "deleteIndividualEnrollment", name)
    leaf = pki.device(names[2])
    items = [
        {"registrationId": names[0], "attestation": symmetric_key()},
        {"registrationId": "not an id", "attestation": symmetric_key()},
        {"registrationId": names[0].upper(), "attestation": symmetric_key()},
        {"registrationId": names[1]},
        {"registrationId": names[2], "attestation": client_certificates(leaf)},
        {"registrationId": names[3], "attestation": client_certificates(leaf)},
    ]
    answer = case.service("runBulkEnrollmentOperation", {"mode": "create", "enrollments": items})
    errors = dict(bulk_errors(answer))
    taken = {name: errors.pop(name, None) for name in names[2:]}
    expect(sorted(taken.values(), key=str), [409204, None], "one certificate in two items")
    expect(errors, {"not an id": 400004, names[0].upper(): 400004, names[1]: 400004}, "errors")
    expect(case.service("getIndividualEnrollment", names[0])["registrationId"], names[0], "the first of that id")
    eleven = [{"registrationId": f"x{number}", "attestation": symmetric_key()} for number in range(11)]
    error = refusal(
        "ArgumentError", case.service, "runBulkEnrollmentOperation", {"mode": "create", "enrollments": eleven}
    )
    expect(error.result["errorCode"], 400004, "code of eleven items")


@SUITE.case("service-api/python/bulk-and-pages")
def python_bulk_and_pages(case):
    """As recorded on Azure: 150 enrollments of one endorsement key come as a page of 100 and one of 50."""
    client, prefix, key = case.python_service(), case.name("pages"), endorsement_key()
    names = [f"{prefix}-{number:03}" for number in range(150)]
    for start in range(0, 150, 10):
        some = [{"registrationId": name, "attestation": tpm(key)} for name in names[start : start + 10]]

        def run(mode, items):
            with python_sdk.raised():
                return client.enrollment.run_bulk_operation(bulk_operation={"mode": mode, "enrollments": items})

        case.at_end(run, "delete", [{"registrationId": item["registrationId"]} for item in some])
        expect(run("create", some), {"errors": [], "isSuccessful": True}, "bulk create")
    query = {"query": starting_with(prefix)}
    pages = python_pages(client.enrollment.query, query)
    expect([len(page) for page in pages], [100, 50], "sizes of the pages")
    found = [enrollment["registrationId"] for page in pages for enrollment in page]
    expect(found, names, "all of them, once each")
    expect(pages[0][0]["attestation"], {"type": "tpm", "tpm": {"endorsementKey": key}}, "attestation of a row")
    expect([len(page) for page in python_pages(client.enrollment.query, query, top=60)], [60, 60, 30], "pages of 60")
    everything = python_pages(client.enrollment.query, {"query": "SELECT *"}, top=1000)
    missing = set(names) - {enrollment["registrationId"] for page in everything for enrollment in page}
    expect(missing, set(), "enrollments that SELECT * misses")


@SUITE.case("service-api/python/bulk-of-groups")
def python_bulk_of_groups(case):
    """Every mode on groups."""
    client, prefix = case.python_service(), case.name("group")
    names = [f"{prefix}-{number}" for number in range(3)]
    for name in names:
        case.at_end(case.service, "deleteEnrollmentGroup", name)

    def run(mode, *items):
        operation = {"mode": mode, "enrollmentGroups": list(items)}
        with python_sdk.raised():
            return bulk_errors(client.enrollment_group.run_bulk_operation(operation), "enrollmentGroupId")

    def item(name, **fields):
        return {"enrollmentGroupId": name, "attestation": symmetric_key(), **fields}

    expect(run("create", *map(item, names)), [], "create")
    expect(run("create", item(names[0])), [(names[0], 409201)], "create again")
    with python_sdk.raised():
        rows = [row for page in client.enrollment_group.query({"query": "SELECT *"}).by_page() for row in page]
    etags = {row["enrollmentGroupId"]: row["etag"] for row in rows}
    errors = run("update", item(names[0], etag=etags[names[0]], provisioningStatus="disabled"), item(names[1]))
    expect(errors, [(names[1], 409201)], "update")
    errors = run("updateIfMatchETag", item(names[0], etag=etags[names[0]]), item(names[1], etag=etags[names[1]]))
    expect(errors, [(names[0], 412001)], "updateIfMatchETag")
    expect(run("delete", *map(item, names)), [], "delete")
    expect(run("delete", item(names[0])), [(names[0], 404201)], "delete again")


@SUITE.case("service-api/python/attestation-mechanism")
def python_attestation_mechanism(case):
    """Keys by themselves, of an enrollment and of a group; a TPM's key and certificates as they are shown."""
    client, primary, secondary = case.python_service(), sas.new_key(), sas.new_key()
    name, group, chip = case.name(), case.name("group"), case.name("tpm")
    case.enroll(name, symmetric_key(primary, secondary))
    case.enroll_group(group, symmetric_key(primary, secondary))
    key = endorsement_key()
    case.enroll(chip, tpm(key))
    keys = {"type": "symmetricKey", "symmetricKey": {"primaryKey": primary, "secondaryKey": secondary}}
    with python_sdk.raised():
        expect(client.enrollment.get_attestation_mechanism(id=name), keys, "of the enrollment")
        expect(client.enrollment_group.get_attestation_mechanism(id=group), keys, "of the group")
        shown = client.enrollment.get_attestation_mechanism(id=chip)
        expect(shown, {"type": "tpm", "tpm": {"endorsementKey": key}}, "of the TPM")


@SUITE.case("service-api/registrations-of-a-group")
def registrations_of_a_group(case):
    """By both clients: paged, filtered, and still there and deletable when their group is gone."""
    group_id, other_id, key = case.name("group"), case.name("group"), sas.new_key()
    case.enroll_group(group_id, symmetric_key(key, sas.new_key()))
    other = sas.new_key()
    case.enroll_group(other_id, symmetric_key(other, sas.new_key()))
    names = sorted(case.name() for _ in range(3))
    for name in names:
        result = NodeHttp().register(case, name, Key(sas.derived_key(key, name)))
        case.at_end(case.registry, result["assignedHub"], "delete", name)
        case.at_end(case.service, "deleteDeviceRegistrationState", name)
    stranger = case.name()
    result = NodeHttp().register(case, stranger, Key(sas.derived_key(other, stranger)))
    case.at_end(case.registry, result["assignedHub"], "delete", stranger)
    case.at_end(case.service, "deleteDeviceRegistrationState", stranger)

    method = "createEnrollmentGroupDeviceRegistrationStateQuery"
    found = node_query(case, method, "SELECT * FROM deviceRegistrations", group_id, 2)
    expect([state["registrationId"] for state in found], names, "registrations by Node")
    expect(found[0], case.service("getDeviceRegistrationState", names[0]), "a row is what a GET shows")
    text = f"SELECT * WHERE status = 'assigned' AND registrationId IN ('{names[0]}', '{names[2].upper()}')"
    found = node_query(case, method, text, group_id)
    expect([state["registrationId"] for state in found], [names[0], names[2]], "registrations of the condition")

    client = case.python_service()
    pages = python_pages(client.device_registration_state.query, group_id, top=2)
    expect([len(page) for page in pages], [2, 1], "pages by Python, without a body")
    case.service("deleteEnrollmentGroup", group_id)
    pages = python_pages(client.device_registration_state.query, group_id)
    expect([len(page) for page in pages], [3], "registrations of a deleted group")
    with python_sdk.raised():
        client.device_registration_state.delete(id=names[0])
    pages = python_pages(client.device_registration_state.query, group_id)
    expect([len(page) for page in pages], [2], "after one is deleted")
    expect(python_pages(client.device_registration_state.query, case.name("none")), [[]], "of a group never seen")


@SUITE.case("service-api/raw/query-headers")
def query_headers(case):
    """The headers of a page; a continuation only when there is more, and only for its own query."""
    prefix = case.name("raw")
    enrolled(case, prefix, 3)
    headers = {"Authorization": sas.service_token(case.service_connection_string), "x-ms-max-item-count": "2"}
    body = {"query": starting_with(prefix)}

    def ask(body, path="/enrollments/query", **more):
        return raw_https.request(case, "POST", f"{path}{API}", body, {**headers, **more})

    first = ask(body, "/Enrollments/Query")
    expect((first.status, len(first.json)), (200, 2), f"status and rows: {first.raw[:300]}")
    expect(first.headers["content-type"], "application/json; charset=utf-8", "Content-Type")
    expect(first.headers["x-ms-item-type"], "Enrollment", "x-ms-item-type")
    expect(first.headers["x-content-type-options"], "nosniff", "X-Content-Type-Options")
    token = first.headers["x-ms-continuation"]
    last = ask(body, **{"x-ms-continuation": token})
    expect((last.status, len(last.json)), (200, 1), "status and rows of the last page")
    expect_that("x-ms-continuation" not in last.headers, "the last page has a continuation")
    for what, answer in {
        "another query": ask({"query": "SELECT *"}, **{"x-ms-continuation": token}),
        "another kind": ask(body | {"query": "*"}, "/enrollmentGroups/query", **{"x-ms-continuation": token}),
        "a changed token": ask(body, **{"x-ms-continuation": token[:-1]}),
        "a token of Azure": ask(body, **{"x-ms-continuation": base64.b64encode(b'[{"token":"+RID:~"}]').decode()}),
        "a count of words": ask(body, **{"x-ms-max-item-count": "two"}),
    }.items():
        expect((answer.status, answer.json["errorCode"]), (400, 400004), f"status and code for {what}")
        expect_error_body(answer.json, None, None)
    for path, kind in (
        ("/enrollmentGroups/query", "EnrollmentGroup"),
        (f"/registrations/{prefix}/query", "DeviceRegistration"),
    ):
        answer = ask({"query": "SELECT *"}, path)
        expect((answer.status, answer.headers["x-ms-item-type"]), (200, kind), f"status and type of {path}")


@SUITE.case("service-api/raw/provisioning-status-null")
def provisioning_status_null(case):
    """As recorded on Azure: `null` is taken, means enabled, and is given back."""
    registration_id, key = case.name(), sas.new_key()
    headers = {"Authorization": sas.service_token(case.service_connection_string)}
    attestation = symmetric_key(key, sas.new_key())
    body = {"registrationId": registration_id, "attestation": attestation, "provisioningStatus": None}
    made = raw_https.request(case, "PUT", f"/enrollments/{registration_id}{API}", body, headers)
    case.at_end(case.service, "deleteIndividualEnrollment", registration_id)
    got = raw_https.request(case, "GET", f"/enrollments/{registration_id}{API}", headers=headers)
    for enrollment in (made.json, got.json):
        expect_that("provisioningStatus" in enrollment and enrollment["provisioningStatus"] is None, f"{enrollment}")
    expect(NodeHttp().register(case, registration_id, Key(key))["status"], "assigned", "status")
