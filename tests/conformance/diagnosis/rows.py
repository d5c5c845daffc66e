"""Every row of the catalogue of failures: the scenarios that make it, or why there is none."""

from cases import SUITE
from diagnosis.scenario import MADE
from harness.errors import expect_that

ROWS = range(1, 76)

# Why there is no scenario: a server sees nothing of it, or the place where it is tested.
ELSEWHERE = {
    46: "a defect of Azure's command line; iotHubs with a policy is taken: service_api",
    47: "words of Azure's portal about free hubs; ours says what a hub refuses",
    50: "documents: the columns are in docs/reference/events.md, and each cause has its query in docs/reference/causes.md",
    51: "a proxy on the device's network, which no server sees: muster doctor, and its tests with a foreign CA",
    55: "a closed port on the device's network, which no server sees: muster doctor, and its tests with closed ports",
    73: "a client that does not start without an answer",
    74: "no failure: a wish for a server of one's own",
    75: "no failure: a wish for declarations; muster serve declares instances, links and certificates in a file",
}


@SUITE.case("diagnosis/every-row-is-accounted-for")
def every_row_is_accounted_for(_case):
    """A row has a scenario, or a reason; not neither, and not both."""
    odd = [row for row in ROWS if (row in MADE) == (row in ELSEWHERE)]
    expect_that(not odd, f"rows with neither a scenario nor a reason, or with both: {odd}")
