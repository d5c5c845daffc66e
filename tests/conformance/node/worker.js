// Runs the official Node SDKs, unmodified, for the conformance cases.
//
// Owns: one function per thing a user of an SDK does, and the line protocol: a line of JSON
// {id, call, arguments} in, a line {id, value} or {id, error} out. It must not judge any outcome.
'use strict';

const http2 = require('node:http2');
const readline = require('node:readline');

const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Http: ProvisioningHttp } = require('azure-iot-provisioning-device-http');
const { Amqp: ProvisioningAmqp, AmqpWs: ProvisioningAmqpWs } = require('azure-iot-provisioning-device-amqp');
const { Mqtt: ProvisioningMqtt, MqttWs: ProvisioningMqttWs } = require('azure-iot-provisioning-device-mqtt');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { TpmSecurityClient } = require('azure-iot-security-tpm');
const { X509Security } = require('azure-iot-security-x509');
const tss = require('tss.js');
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');
const { Client: ServiceClient, Registry } = require('azure-iothub');
const { Message: ServiceMessage } = require('azure-iot-common');
const { Client: DeviceClient, Message } = require('azure-iot-device');
const { Amqp: DeviceAmqp, AmqpWs: DeviceAmqpWs } = require('azure-iot-device-amqp');
const { Mqtt: DeviceMqtt, MqttWs: DeviceMqttWs } = require('azure-iot-device-mqtt');

const provisioningTransports = {
  http: ProvisioningHttp,
  mqtt: ProvisioningMqtt,
  'mqtt-ws': ProvisioningMqttWs,
  amqp: ProvisioningAmqp,
  'amqp-ws': ProvisioningAmqpWs,
};
const deviceTransports = {
  mqtt: DeviceMqtt,
  'mqtt-ws': DeviceMqttWs,
  amqp: DeviceAmqp,
  'amqp-ws': DeviceAmqpWs,
};

// Connected devices by the handle that `deviceOpen` gave out.
const devices = new Map();

// The SDK's client of a chip that is reached as a simulator would be, at that port.
const tpmClient = (port, registrationId) => new TpmSecurityClient(registrationId, new tss.Tpm(true, '127.0.0.1', port));

// Turns `(callback) => ...` into a promise of the callback's second argument.
const promised = (start) =>
  new Promise((resolve, reject) => start((error, value) => (error ? reject(error) : resolve(value))));

const calls = {
  // A device registers: the result of the SDK's `register`.
  async provision({ transport, host, idScope, registrationId, key, certificate, privateKey, payload }) {
    const security = key
      ? new SymmetricKeySecurityClient(registrationId, key)
      : new X509Security(registrationId, { cert: certificate, key: privateKey });
    const client = ProvisioningDeviceClient.create(
      host, idScope, new provisioningTransports[transport](), security);
    if (payload !== null && payload !== undefined) {
      client.setProvisioningPayload(payload);
    }
    return promised((done) => client.register(done));
  },

  // The keys that a device with a TPM shows, and the registration id that the SDK makes of them.
  async tpmIdentity({ port }) {
    const security = tpmClient(port);
    const endorsementKey = await promised((done) => security.getEndorsementKey(done));
    const registrationId = await promised((done) => security.getRegistrationId(done));
    const storageRootKey = await promised((done) => security.getStorageRootKey(done));
    const keys = { endorsementKey: endorsementKey.toString('base64'), storageRootKey: storageRootKey.toString('base64') };
    return { keys, registrationId };
  },

  // A device with a TPM registers.
  async tpmProvision({ transport: name, host, idScope, registrationId, port }) {
    const transport = new provisioningTransports[name]();
    // Refused before there is a challenge, the AMQP transports note that the connection is over, and never call back.
    const refused = new Promise((_, reject) => transport._amqpStateMachine?.on('tpmConnectionComplete', () =>
      transport._getSasTokenCallback ?? reject(new Error('silence: the connection ended before the challenge'))));
    const client = ProvisioningDeviceClient.create(host, idScope, transport, tpmClient(port, registrationId));
    return Promise.race([promised((done) => client.register(done)), refused]);
  },

  // Any method of the provisioning service client. Its callback form is the one that works for all.
  async service({ connectionString, method, parameters }) {
    const client = ProvisioningServiceClient.fromConnectionString(connectionString);
    return promised((done) => client[method](...parameters, done));
  },

  // All pages of a query of the provisioning service client.
  async serviceQuery({ connectionString, method, parameters }) {
    const query = ProvisioningServiceClient.fromConnectionString(connectionString)[method](...parameters);
    const items = [];
    do {
      items.push(...(await promised((done) => query.next(done))));
    } while (query.hasMoreResults);
    return items;
  },

  // Any method of the hub's registry.
  async registry({ connectionString, method, parameters }) {
    const registry = Registry.fromConnectionString(connectionString);
    const value = await promised((done) => registry[method](...parameters, done));
    return JSON.parse(JSON.stringify(value ?? null));
  },

  // All pages of a query of the hub's registry.
  async registryQuery({ connectionString, query: text }) {
    const query = Registry.fromConnectionString(connectionString).createQuery(text);
    const twins = [];
    do {
      const { result } = await query.nextAsTwin();
      twins.push(...JSON.parse(JSON.stringify(result)));
    } while (query.hasMoreResults);
    return twins;
  },

  // A device connects to its hub.
  async deviceOpen({ handle, transport, connectionString, certificate, privateKey }) {
    const client = DeviceClient.fromConnectionString(connectionString, deviceTransports[transport]);
    if (certificate) {
      await client.setOptions({ cert: certificate, key: privateKey });
    }
    // Without a policy of its own the client repeats a refused connect for four minutes.
    client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => 0 });
    client.on('error', (error) => process.stderr.write(`device ${handle}: ${error}\n`));
    await client.open();
    devices.set(handle, { client, desired: [], wanted: null });
  },

  // A device connects to its hub with a token that its TPM signs: an application does that by hand, the
  // device SDK has nothing of its own for it.
  async tpmOpen({ handle, transport, hub, deviceId, port }) {
    const resource = encodeURIComponent(`${hub}/devices/${deviceId}`);
    const expiry = Math.floor(Date.now() / 1000) + 3600;
    const text = Buffer.from(`${resource}\n${expiry}`);
    const signature = await promised((done) => tpmClient(port).signWithIdentity(text, done));
    const signed = encodeURIComponent(signature.toString('base64'));
    const token = `SharedAccessSignature sr=${resource}&sig=${signed}&se=${expiry}`;
    const client = DeviceClient.fromSharedAccessSignature(token, deviceTransports[transport]);
    client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => 0 });
    client.on('error', (error) => process.stderr.write(`device ${handle}: ${error}\n`));
    await client.open();
    devices.set(handle, { client, desired: [], wanted: null });
  },

  async deviceSend({ handle, body, properties }) {
    const message = new Message(body);
    for (const [name, value] of Object.entries(properties ?? {})) {
      message.properties.add(name, value);
    }
    await devices.get(handle).client.sendEvent(message);
  },

  async deviceTwin({ handle }) {
    const device = devices.get(handle);
    device.twin = await device.client.getTwin();
    return JSON.parse(JSON.stringify(device.twin.properties));
  },

  async deviceReport({ handle, patch }) {
    const { twin } = devices.get(handle);
    await promised((done) => twin.properties.reported.update(patch, done));
  },

  // From now on desired patches are kept for `deviceDesired`.
  async deviceWatchDesired({ handle }) {
    const device = devices.get(handle);
    const started = new Promise((resolve) => {
      device.twin.on('properties.desired', (patch) => {
        device.desired.push(JSON.parse(JSON.stringify(patch)));
        device.wanted?.();
        resolve();
      });
    });
    // The SDK fires once with the properties it already has; that is not a patch.
    await started;
    await promised((done) => device.twin.enableTwinDesiredPropertiesUpdates(done));
    device.desired.length = 0;
  },

  // The next desired patch.
  async deviceDesired({ handle }) {
    const device = devices.get(handle);
    while (device.desired.length === 0) {
      await new Promise((resolve) => { device.wanted = resolve; });
    }
    return device.desired.shift();
  },

  // Invokes a direct method from the service side.
  async serviceMethod({ connectionString, deviceId, parameters }) {
    const client = ServiceClient.fromConnectionString(connectionString);
    const answer = await promised((done) => client.invokeDeviceMethod(deviceId, parameters, done));
    return answer;
  },

  // Sends a cloud-to-device message.
  async serviceSend({ connectionString, deviceId, body, properties }) {
    const client = ServiceClient.fromConnectionString(connectionString);
    client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => 0 });
    const message = new ServiceMessage(body);
    for (const [name, value] of Object.entries(properties ?? {})) {
      message.properties.add(name, value);
    }
    await client.open();
    try {
      await client.send(deviceId, message);
    } finally {
      await client.close();
    }
  },

  // From now on messages from the cloud are kept for `deviceMessage`.
  async deviceListen({ handle }) {
    const device = devices.get(handle);
    device.messages = [];
    device.client.on('message', (message) => {
      device.messages.push(message);
      device.wanted?.();
    });
  },

  // The next message from the cloud, completed.
  async deviceMessage({ handle }) {
    const device = devices.get(handle);
    while (device.messages.length === 0) {
      await new Promise((resolve) => { device.wanted = resolve; });
    }
    const message = device.messages.shift();
    await device.client.complete(message);
    const properties = {};
    for (let index = 0; index < message.properties.count(); index += 1) {
      const { key, value } = message.properties.getItem(index);
      properties[key] = value;
    }
    return { body: message.getData().toString(), properties };
  },

  // The device answers every call of that method with `status` and the payload it was given.
  async deviceAnswerMethod({ handle, method, status }) {
    devices.get(handle).client.onDeviceMethod(method, (request, response) =>
      response.send(status, { echoed: request.payload }, () => {}));
  },

  // Requests over one HTTP/2 connection, one after the other.
  async http2({ origin, requests }) {
    const session = http2.connect(origin);
    const failed = new Promise((_, reject) => session.on('error', reject));
    const one = ({ method, path, headers, body }) =>
      new Promise((resolve, reject) => {
        const stream = session.request({ ':method': method, ':path': path, ...headers });
        const answer = { status: 0, headers: {}, body: '' };
        stream.setEncoding('utf8');
        stream.on('response', (received) => {
          answer.status = received[':status'];
          answer.headers = { ...received };
        });
        stream.on('data', (chunk) => { answer.body += chunk; });
        stream.on('end', () => resolve(answer));
        stream.on('error', reject);
        stream.end(body);
      });
    try {
      const answers = [];
      for (const request of requests) {
        answers.push(await Promise.race([one(request), failed]));
      }
      return answers;
    } finally {
      session.close();
    }
  },

  async deviceClose({ handle }) {
    const { client } = devices.get(handle);
    devices.delete(handle);
    await client.close();
  },
};

// What a user of the SDK can see of an error.
function describe(error) {
  const status = error.response?.statusCode ?? null;
  // AMQP's own errors are no `Error`: a condition, and the service's JSON as their description.
  const text = error.responseBody ?? (error.condition ? error.description : undefined);
  let result = error.result ?? null;
  if (result === null && typeof text === 'string') {
    try {
      result = JSON.parse(text);
    } catch {
      result = text;
    }
  }
  const below = error.innerError ? String(error.innerError.message ?? error.innerError) : null;
  const headers = error.response?.headers ?? null;
  const name = error.name ?? error.condition;
  return { name, message: String(error.message ?? error.condition ?? error), cause: below, result, status, headers };
}

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, call, arguments: named } = JSON.parse(line);
  let answer;
  try {
    answer = { id, value: (await calls[call](named)) ?? null };
  } catch (error) {
    answer = { id, error: describe(error) };
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
});
