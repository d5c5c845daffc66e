// Hubs, CA certificates and access policies.
import assert from "node:assert/strict";
import { certificateAuthority } from "../harness/pki.mjs";

export default [
  {
    name: "a hub's weight is changed, and a link that lacks something is told as one types",
    async run({ open, server }) {
      const portal = await open();
      const { page } = portal;
      await server.muster("enrollment", "create", "--registration-id", "sorter-3", "--attestation-type", "symmetricKey", "--allocation-policy", "static", "--iot-hubs", "hub-2.localhost");
      await portal.signIn();
      await portal.go("#/hubs");
      await page.getByRole("row", { name: /hub-1.localhost.*Works/ }).waitFor();
      await page.getByRole("button", { name: "hub-1.localhost", exact: true }).click();
      const form = page.getByRole("dialog");
      await form.getByLabel("Weight").fill("2000");
      await form.getByText("A whole number from 1 to 1000").waitFor();
      await form.getByLabel("Weight").fill("3");
      await form.getByRole("button", { name: "Save" }).click();
      await portal.toast("hub-1.localhost is saved");
      await page.getByRole("row", { name: /hub-1.localhost.*3 \(75 %\)/ }).waitFor();
      await page.getByRole("button", { name: "Link a hub" }).click();
      await form.getByLabel("Connection string").fill("HostName=other.example;SharedAccessKeyName=iothubowner");
      await form.getByText("It lacks SharedAccessKey=").waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: "Unlink hub-2.localhost" }).click();
      await form.getByText("It is named by sorter-3").waitFor();
      await portal.accessible("unlinking a hub");
      await page.keyboard.press("Escape");
      await server.muster("enrollment", "delete", "--registration-id", "sorter-3");
    },
  },
  {
    name: "a CA certificate is uploaded, proven and deleted",
    async run({ open, server }) {
      const ca = certificateAuthority(server.folder, "Line CA");
      const other = certificateAuthority(server.folder, "Other CA");
      const portal = await open();
      const { page } = portal;
      await portal.signIn();
      await portal.go("#/certificates");
      await page.getByRole("button", { name: "Upload" }).click();
      const form = page.getByRole("dialog");
      await form.getByLabel("Name", { exact: true }).fill("line-ca");
      await form.getByLabel("Certificate", { exact: true }).fill(ca.issue("no-ca").certificate);
      await form.getByText("This is not a CA's certificate").waitFor();
      await form.getByLabel("Certificate", { exact: true }).fill(ca.certificate);
      await form.getByText("self-signed").waitFor();
      await form.getByRole("button", { name: "Upload" }).click();
      await portal.toast("line-ca is uploaded");
      await page.getByRole("row", { name: /line-ca.*Not verified/ }).waitFor();
      await page.getByRole("button", { name: "Verify line-ca" }).click();
      const code = (await form.getByLabel("the verification code", { exact: true }).textContent()).trim();
      assert.match(code, /^[0-9A-F]{48}$/i);
      const proof = form.getByLabel("3. The signed certificate");
      await proof.fill(ca.issue("wrong-code").certificate);
      await form.getByText("not the code").waitFor();
      await proof.fill(other.issue(code).certificate);
      await form.getByText("Was it signed by another CA of yours?").waitFor();
      await portal.accessible("a proof");
      await proof.fill(ca.issue(code).certificate);
      await form.getByText("Was it signed by another CA of yours?").waitFor({ state: "detached" });
      await form.getByRole("button", { name: "Verify", exact: true }).click();
      await portal.toast("line-ca is verified");
      await page.getByRole("row", { name: /line-ca.*Verified/ }).waitFor();
      await page.getByRole("button", { name: "Delete line-ca" }).click();
      await form.getByRole("button", { name: "Delete", exact: true }).click();
      await portal.toast("line-ca is deleted");
    },
  },
  {
    name: "a policy is made, shown, rolled and deleted",
    async run({ open }) {
      const portal = await open();
      const { page } = portal;
      await portal.signIn();
      await portal.go("#/policies");
      await page.getByRole("button", { name: "New policy" }).click();
      const form = page.getByRole("dialog");
      await form.getByLabel("Name", { exact: true }).fill("provisioningserviceowner");
      await form.getByText("There is a policy of this name").waitFor();
      await form.getByLabel("Name", { exact: true }).fill("reader");
      await form.getByLabel("read registrations").check();
      await form.getByRole("button", { name: "Create" }).click();
      await portal.toast("reader is made");
      const keys = async () => {
        await page.getByRole("button", { name: "Keys of reader" }).click();
        await form.getByRole("button", { name: "Show the keys" }).click();
        const both = [await form.getByLabel("the primary key", { exact: true }).textContent(), await form.getByLabel("the secondary key", { exact: true }).textContent()];
        await form.getByRole("button", { name: "Done" }).click();
        return both.map((k) => k.trim());
      };
      const [primary, secondary] = await keys();
      assert.notEqual(primary, secondary);
      await page.getByRole("button", { name: "Roll secondary key of reader" }).click();
      await form.getByRole("button", { name: "Roll", exact: true }).click();
      await form.getByRole("button", { name: "Done" }).click();
      const [after, rolled] = await keys();
      assert.equal(after, primary);
      assert.notEqual(rolled, secondary);
      await page.getByRole("button", { name: "Delete reader" }).click();
      await form.getByRole("button", { name: "Delete", exact: true }).click();
      await portal.toast("reader is deleted");
    },
  },
];
