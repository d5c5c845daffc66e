"""Every row of the catalogue of failures: the scenarios that make it, or why there is none."""

from cases import SUITE
from diagnosis.scenario import MADE
from harness.errors import expect_that

ROWS = range(1, 76)

# Tested elsewhere, with the place; nothing that a server sees; or not made yet, and said so.
ELSEWHERE = {
    3: "the hint for Windows has a unit test in dps-explain's rules; Schannel does not run here",
    13: "no scenario yet: a bundle uploaded as a device's certificate",
    19: "no scenario yet: a hub that refuses the service; dps-explain's rules have unit tests of HUB_*",
    36: "no scenario yet; links are probed (muster's link_probes tests), and the rule has a unit test",
    37: "as 36",
    38: "no scenario yet: a link that is wrong from the start",
    39: "no scenario yet: a hub that is linked twice",
    40: "no scenario yet; stages of failures have unit tests in dps-hub",
    42: "no scenario yet: customAllocationDefinition left out",
    46: "a defect of a client",
    47: "words of a portal",
    50: "the columns are documented, and each cause has its query: docs/reference/causes.md",
    51: "muster doctor: its tests with a proxy of a foreign CA",
    53: "the timeline's gaps: muster's tests of the timeline",
    54: "no scenario yet; a device that the development hub refuses has its tests in dps-devhub and in the timeline's",
    55: "muster doctor: its tests with closed ports",
    59: "dps-attestation's tests of public areas: what was read is told",
    60: "the timeline's gaps: challenge issued, never answered",
    61: "the timeline",
    62: "each precondition has a code: docs/reference/causes.md",
    64: "conformance diagnosis/no-tls-at-all and server-certificate-not-trusted",
    65: "conformance tpm_tools: a key without a certificate is accepted",
    68: "conformance allocation: the steps of a move are in the operation's line",
    69: "the timeline's gaps: not retried since",
    72: "no scenario yet: an initialTwin that a hub refuses",
    73: "a client",
    74: "the product",
    75: "muster serve declares instances, links and certificates in a file; a Terraform provider is not ours yet",
}


@SUITE.case("diagnosis/every-row-is-accounted-for")
def every_row_is_accounted_for(_case):
    """A row has a scenario, or a reason; not neither."""
    missing = [row for row in ROWS if row not in MADE and row not in ELSEWHERE]
    expect_that(not missing, f"rows without scenario or reason: {missing}")
