// Enrollments and groups: made with validation as one types, changed, in conflict, disabled, deleted.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { certificateAuthority } from "../harness/pki.mjs";

const hex = (fingerprint) => fingerprint.replace(/:/g, "");

export default [
  {
    name: "an enrollment with keys is made, found, disabled and deleted",
    async run({ open, server }) {
      const portal = await open();
      const { page } = portal;
      await portal.signIn();
      await portal.go("#/enrollments");
      await page.getByRole("button", { name: "New enrollment" }).click();
      const form = page.getByRole("dialog");
      const create = form.getByRole("button", { name: "Create" });
      assert.ok(await create.isDisabled());
      await form.getByLabel("Registration id").fill("lathe/7");
      await form.getByText("The character 6, “/”, cannot stand in an id").waitFor();
      await form.getByLabel("Registration id").fill("lathe-7");
      await form.getByLabel("Primary key").fill("ab12".repeat(16));
      await form.getByText("This looks like hexadecimal").waitFor();
      assert.ok(await create.isDisabled());
      await form.getByLabel("Primary key").fill("");
      await create.click();
      await page.getByRole("heading", { name: "Keys of lathe-7" }).waitFor();
      const key = (await page.getByLabel("the primary key", { exact: true }).textContent()).trim();
      assert.equal(Buffer.from(key, "base64").length, 64);
      await page.getByRole("button", { name: "Done" }).click();
      await page.getByRole("heading", { name: "lathe-7" }).waitFor();
      assert.ok((await server.provision("lathe-7", key)).accepted);
      await page.getByRole("button", { name: "Disable" }).click();
      await portal.toast("lathe-7 is disabled");
      await page.getByText("It is disabled.").waitFor();
      assert.match((await server.provision("lathe-7", key)).said, /disabled/);
      await portal.go("#/enrollments");
      await page.getByLabel("Id begins with").fill("LATHE");
      await page.getByRole("row", { name: /lathe-7.*Disabled/ }).waitFor();
      await page.getByLabel("Status").selectOption("enabled");
      await page.getByText("None fits").waitFor();
      await portal.go("#/enrollment/lathe-7");
      await page.getByRole("button", { name: "Delete", exact: true }).click();
      await form.getByText(/The device is on .*stays there/).waitFor();
      await form.getByRole("button", { name: "Delete", exact: true }).click();
      await portal.toast("lathe-7 is deleted");
    },
  },
  {
    name: "a change of somebody else meanwhile is shown as a difference, and nothing is lost",
    async run({ open, server }) {
      const portal = await open();
      const { page } = portal;
      await portal.signIn();
      await portal.go("#/enrollment/press-2");
      await page.getByRole("button", { name: "Edit" }).click();
      const form = page.getByRole("dialog");
      await form.getByText("Initial twin").click();
      await form.getByLabel("Twin as JSON").fill('{"tags": {"line": 7}');
      await form.getByText(/This is not JSON/).waitFor();
      await form.getByLabel("Twin as JSON").fill('{"tags": {"line": 7}}');
      await server.muster("enrollment", "update", "--registration-id", "press-2", "--device-id", "press-two");
      await form.getByRole("button", { name: "Save" }).click();
      await form.getByText("Somebody else changed it meanwhile").waitFor();
      await form.getByRole("region", { name: "What they changed" }).getByText(/press-two/).waitFor();
      await form.getByRole("region", { name: "What you would change" }).getByText(/"line": 7/).waitFor();
      await portal.accessible("a conflict");
      await portal.shot("conflict");
      await form.getByRole("button", { name: "Take theirs" }).click();
      assert.equal(await form.getByLabel("Device id on the hub").inputValue(), "press-two");
      await form.getByText("Initial twin").click();
      await form.getByLabel("Twin as JSON").fill('{"tags": {"line": 7}}');
      await form.getByRole("button", { name: "Save" }).click();
      await portal.toast("press-2 is saved");
      const stored = JSON.parse(await server.muster("enrollment", "show", "--registration-id", "press-2", "-o", "json"));
      assert.equal(stored.deviceId, "press-two");
      assert.equal(stored.initialTwin.tags.line, 7);
    },
  },
  {
    name: "a pasted certificate shows what it is, and its common name is the registration id",
    async run({ open, server }) {
      const ca = certificateAuthority(server.folder, "Works CA");
      const leaf = ca.issue("drill-9");
      const known = new X509Certificate(leaf.certificate);
      const portal = await open();
      const { page } = portal;
      await portal.signIn();
      await portal.go("#/enrollments");
      await page.getByRole("button", { name: "New enrollment" }).click();
      const form = page.getByRole("dialog");
      await form.getByRole("button", { name: "X.509 certificate" }).click();
      const field = form.getByLabel("Primary certificate");
      await field.fill(leaf.key);
      await form.getByText("This holds a private key").waitFor();
      await field.fill("-----BEGIN CERTIFICATE-----\nMIIB");
      await form.getByText("The text does not end").waitFor();
      await field.fill(ca.certificate);
      await form.getByText("This is a CA's certificate").waitFor();
      await field.fill(leaf.certificate + ca.certificate);
      await form.getByText("The text holds 2 certificates").waitFor();
      await form.getByText(hex(known.fingerprint256), { exact: true }).waitFor();
      await form.getByText(hex(known.fingerprint), { exact: true }).waitFor();
      await form.getByText("EC P-256").waitFor();
      await form.getByLabel("Registration id").fill("drill-8");
      await form.getByRole("button", { name: "Use drill-9" }).click();
      await portal.accessible("a pasted certificate");
      await portal.shot("certificate");
      await form.getByRole("button", { name: "Create" }).click();
      await page.getByRole("heading", { name: "drill-9", exact: true }).waitFor();
      await page.getByText(hex(known.fingerprint256), { exact: false }).first().waitFor();
      // A change of another member keeps the certificate.
      await page.getByRole("button", { name: "Disable" }).click();
      await portal.toast("drill-9 is disabled");
      await page.getByText(hex(known.fingerprint256), { exact: false }).first().waitFor();
    },
  },
  {
    name: "an endorsement key in the wrong order of bytes is told as one types",
    async run({ open }) {
      const portal = await open();
      const { page } = portal;
      await portal.signIn();
      await portal.go("#/enrollments");
      await page.getByRole("button", { name: "New enrollment" }).click();
      const form = page.getByRole("dialog");
      await form.getByRole("button", { name: "TPM" }).click();
      const public_area = Buffer.alloc(314, 1);
      public_area.writeUInt16LE(314 - 2, 0);
      await form.getByLabel("Endorsement key").fill(public_area.toString("base64"));
      await form.getByText("Turn them around").waitFor();
    },
  },
  {
    name: "a group lets its devices in, and is deleted only by its name",
    async run({ open, server }) {
      const portal = await open();
      const { page } = portal;
      await portal.signIn();
      await portal.go("#/groups");
      await page.getByRole("button", { name: "New group" }).first().click();
      const form = page.getByRole("dialog");
      await form.getByLabel("Group name").fill("hall-3");
      await form.getByRole("button", { name: "Create" }).click();
      await page.getByText("A device of the group does not get this key").waitFor();
      const key = (await page.getByLabel("the primary key", { exact: true }).textContent()).trim();
      await page.getByRole("button", { name: "Done" }).click();
      await server.muster("device", "provision", "--host", server.env.MUSTER_DEVICE_HOST, "--id-scope", server.env.MUSTER_ID_SCOPE, "--mqtt-port", server.env.MUSTER_MQTT_PORT, "--ca", server.env.MUSTER_CA_FILE, "--registration-id", "hall-3-a", "--group-key", key);
      await portal.go("#/overview");
      await portal.go("#/group/hall-3");
      await page.getByRole("row", { name: /hall-3-a.*assigned/ }).waitFor();
      await page.getByRole("button", { name: "Delete", exact: true }).click();
      await form.getByText("1 device of the group registered").waitFor();
      assert.ok(await form.getByRole("button", { name: "Delete", exact: true }).isDisabled());
      await form.getByLabel("Type hall-3 to confirm").fill("hall-3");
      await form.getByRole("button", { name: "Delete", exact: true }).click();
      await portal.toast("hall-3 is deleted");
    },
  },
  {
    name: "a long list is continued, and searched at the server",
    async run({ open }) {
      const portal = await open();
      const { page } = portal;
      await portal.signIn();
      const statuses = await page.evaluate(async () => {
        const bulk = async (mode, from) => {
          const enrollments = Array.from({ length: 10 }, (_, i) => ({ registrationId: `series-${String(from + i).padStart(4, "0")}`, attestation: { type: "symmetricKey" } }));
          const answer = await fetch("/enrollments?api-version=2021-10-01", { method: "POST", headers: { "Content-Type": "application/json", "X-Muster-Portal": "1" }, body: JSON.stringify({ mode, enrollments }) });
          return answer.status;
        };
        const out = new Set();
        for (let from = 0; from < 250; from += 10) out.add(await bulk("create", from));
        return [...out];
      });
      assert.deepEqual(statuses, [200]);
      await portal.go("#/enrollments?q=series");
      const rows = page.getByRole("row", { name: /series-/ });
      await rows.first().waitFor();
      assert.equal(await rows.count(), 100);
      const next = page.getByRole("button", { name: "Next" });
      await next.click();
      await page.getByText("101–200", { exact: true }).waitFor();
      await next.click();
      await page.getByRole("link", { name: "series-0249" }).waitFor();
      await page.getByText("201–250 of 250").waitFor();
      assert.equal(await rows.count(), 50);
      assert.ok(await next.isDisabled());
      await page.getByRole("button", { name: "Previous" }).click();
      await page.getByText("101–200", { exact: true }).waitFor();
      await page.getByRole("button", { name: "First" }).click();
      await page.getByRole("link", { name: "series-0000" }).waitFor();
      await page.getByLabel("Id begins with").fill("series-024");
      await page.getByRole("link", { name: "series-0000" }).waitFor({ state: "detached" });
      assert.equal(await rows.count(), 10);
    },
  },
];
