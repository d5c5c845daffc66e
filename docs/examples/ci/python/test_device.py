"""What firmware meets in the field, on a desk."""

import pytest
from azure.iot.device.exceptions import ClientError, CredentialError


def test_device_is_assigned_to_the_hub(muster):
    key = muster.enroll("thermostat-1")
    result = muster.provision("thermostat-1", key)
    assert result.status == "assigned"
    assert result.registration_state.assigned_hub == muster.env["MUSTER_HUB_HOST"]


def test_device_that_is_throttled_comes_again(muster):
    key = muster.enroll("thermostat-1")
    muster.fault("throttle", {"registrationId": "thermostat-1", "count": 1}, retryAfter=1)
    assert muster.provision("thermostat-1", key).status == "assigned"
    (rule,) = muster.control("GET", "faults")["value"]
    assert rule["injected"] == 1


def test_device_hears_that_its_hub_is_down(muster):
    key = muster.enroll("thermostat-1")
    muster.fault("hubDown")
    with pytest.raises(ClientError):
        muster.provision("thermostat-1", key)
    muster.control("DELETE", "faults")
    assert muster.provision("thermostat-1", key).status == "assigned"


def test_device_whose_clock_is_behind_is_refused(muster):
    key = muster.enroll("thermostat-1")
    muster.control("PUT", "clock", {"offsetSeconds": 30 * 24 * 3600})
    with pytest.raises((ClientError, CredentialError)):
        muster.provision("thermostat-1", key)


def test_each_test_begins_with_nothing(muster):
    pages = muster.service().enrollment.query(query_specification={"query": "SELECT * FROM enrollments"})
    assert list(pages) == []
