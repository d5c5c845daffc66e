// What firmware meets in the field, on a desk. Run by run.js, which starts the server.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { beforeEach, test } = require('node:test');

const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Mqtt } = require('azure-iot-provisioning-device-mqtt');
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');

const { MUSTER_DEVICE_HOST: host, MUSTER_ID_SCOPE: idScope, MUSTER_HUB_HOST: hub } = process.env;

// One of the routes of dev mode.
async function control(method, path, body) {
  const answer = await fetch(`${process.env.MUSTER_MANAGEMENT_URL}/dev/${path}`, {
    method,
    headers: { 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  assert.ok(answer.ok, text);
  return text ? JSON.parse(text) : null;
}

// Turns `(callback) => ...` into a promise.
const promised = (start) =>
  new Promise((resolve, reject) => start((error, value) => (error ? reject(error) : resolve(value))));

async function enroll(registrationId) {
  const primaryKey = crypto.randomBytes(32).toString('base64');
  const service = ProvisioningServiceClient.fromConnectionString(process.env.MUSTER_SERVICE_CONNECTION_STRING);
  const symmetricKey = { primaryKey, secondaryKey: primaryKey };
  const enrollment = { registrationId, attestation: { type: 'symmetricKey', symmetricKey } };
  await promised((done) => service.createOrUpdateIndividualEnrollment(enrollment, done));
  return primaryKey;
}

function provision(registrationId, key) {
  const security = new SymmetricKeySecurityClient(registrationId, key);
  const client = ProvisioningDeviceClient.create(host, idScope, new Mqtt(), security);
  return promised((done) => client.register(done));
}

// Nothing that an earlier test left: enrollments, devices, faults, another time.
beforeEach(() => control('POST', 'reset'));

test('a device is assigned to the hub', async () => {
  const result = await provision('thermostat-1', await enroll('thermostat-1'));
  assert.equal(result.assignedHub, hub);
});

test('a device whose first request fails is well the next time', async () => {
  const key = await enroll('thermostat-1');
  const match = { registrationId: 'thermostat-1', operation: 'register', count: 1 };
  await control('POST', 'faults', { match, fault: { kind: 'error', status: 503 } });
  // The SDK of this transport gives up or comes again, by its own rules.
  await provision('thermostat-1', key).catch(() => {});
  const { value: [rule] } = await control('GET', 'faults');
  assert.equal(rule.injected, 1);
  assert.equal((await provision('thermostat-1', key)).assignedHub, hub);
});

test('a device that the service forgot is a stranger', async () => {
  const key = await enroll('thermostat-1');
  await provision('thermostat-1', key);
  await control('POST', 'reset');
  await assert.rejects(provision('thermostat-1', key));
});
