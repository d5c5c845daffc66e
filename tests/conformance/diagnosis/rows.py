"""Every row of the catalogue of failures: the scenarios that make it, or why no server can tell it."""

from cases import SUITE
from diagnosis.scenario import MADE
from harness.errors import expect_that

ROWS = range(1, 76)

# Tested elsewhere, with the place; or nothing that a server sees.
ELSEWHERE = {
    3: "the hint for Windows: dps-explain's rules, by the user agent of the .NET SDK; Schannel does not run here",
    13: "a bundle uploaded as leaf: conformance service_api, the leaf is picked",
    19: "a hub that refuses: muster's tests of linked hubs over TLS; dps-explain's rules HUB_*",
    36: "link probes: muster's tests of linked hubs; dps-explain's rules HUB_LINK_UNAUTHORIZED",
    37: "the same",
    38: "links are checked when they are made: conformance control_plane",
    39: "the same",
    40: "unreachable hubs and webhooks with the stage: dps-hub's tests",
    42: "customAllocationDefinition missing: conformance service_api, the path is named",
    46: "a defect of a client",
    47: "words of a portal",
    50: "the columns are documented, and each cause has its query: docs/reference/causes.md",
    51: "muster doctor: its tests with a proxy of a foreign CA",
    53: "the timeline's gaps: muster's tests of the timeline",
    54: "the development hub's refusals in the timeline: muster's tests",
    55: "muster doctor: its tests with closed ports",
    59: "dps-attestation's tests of public areas: what was read is told",
    60: "the timeline's gaps: challenge issued, never answered",
    61: "the timeline",
    62: "each precondition has a code: docs/reference/causes.md",
    64: "conformance diagnosis/no-tls-at-all and server-certificate-not-trusted",
    65: "conformance tpm_tools: a key without a certificate is accepted",
    68: "conformance allocation: the steps of a move are in the operation's line",
    69: "the timeline's gaps: not retried since",
    72: "conformance service_api: twins are checked and echoed",
    73: "a client",
    74: "the product",
    75: "muster serve declares instances, links and certificates in a file; a Terraform provider is not ours yet",
}


@SUITE.case("diagnosis/every-row-is-accounted-for")
def every_row_is_accounted_for(_case):
    """A row has a scenario, or a reason; not neither."""
    missing = [row for row in ROWS if row not in MADE and row not in ELSEWHERE]
    expect_that(not missing, f"rows without scenario or reason: {missing}")
