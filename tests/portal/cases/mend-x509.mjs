// Certificates: a chain that lacks its middle, a CA that nobody enrolled or verified, a certificate that was renewed.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { story } from "../harness/mend.mjs";
import { certificateAuthority } from "../harness/pki.mjs";

const put = (server, name, text) => {
  const file = join(server.folder, name);
  writeFileSync(file, text);
  return file;
};

const group = (server, id, ca) => server.muster("enrollment-group", "create", "--enrollment-id", id, "--certificate-path", put(server, `${id}.pem`, ca.certificate));

export default [
  story("a chain that lacks its intermediate: the issuer is enrolled", { shots: "mend-x509-chain" }, async (told) => {
    const { server, page, dialog } = told;
    const root = certificateAuthority(server.folder, "Plant Root");
    const line = root.below("Line 4 Intermediate");
    const pump = line.issue("pump-17");
    await group(server, "plant", root);
    const device = ["--registration-id", "pump-17", ...pump.files];
    await told.refused(...device);
    await told.follow("pump-17", "A certificate is missing between the device's and the enrolled one");
    await told.stillRefused();
    await told.press("Enroll the issuer");
    const certificate = dialog.getByLabel("Primary signing certificate");
    await certificate.fill(root.certificate);
    await dialog.getByText("this is another one").waitFor();
    await certificate.fill(line.certificate);
    await dialog.getByText("This is the certificate that was missing.").waitFor();
    assert.equal(await dialog.getByLabel("Group name").inputValue(), "line-4-intermediate");
    await told.inDialog("Create");
    await told.wouldBeLetIn();
    await told.letIn(...device);
    await page.getByText("Why it was refused before").waitFor();
  }),
  story("a chain that lacks its intermediate: the device sends it", {}, async (told) => {
    const { server } = told;
    const root = certificateAuthority(server.folder, "Plant Root");
    const line = root.below("Line 4 Intermediate");
    await group(server, "plant", root);
    await told.refused("--registration-id", "pump-18", ...line.issue("pump-18").files);
    await told.follow("pump-18", "A certificate is missing between the device's and the enrolled one");
    await told.page.getByText("cat DEVICE.pem INTERMEDIATE.pem > CHAIN.pem").first().waitFor();
    await told.letIn("--registration-id", "pump-18", ...line.issue("pump-18", 90, [line.certificate]).files);
  }),
  story("a CA that nobody enrolled: its devices are accepted", { shots: "mend-x509-unknown" }, async (told) => {
    const { server, dialog } = told;
    const maker = certificateAuthority(server.folder, "Valve Maker CA");
    await group(server, "plant", certificateAuthority(server.folder, "Plant Root"));
    const device = ["--registration-id", "valve-3", ...maker.issue("valve-3", 90, [maker.certificate]).files];
    await told.refused(...device);
    await told.follow("valve-3", "No enrollment group knows the device's issuer");
    await told.press("Enroll it");
    await dialog.getByLabel("Accept every device of this issuer").check();
    await told.inDialog("Accept");
    await told.wouldBeLetIn();
    await told.letIn(...device);
  }),
  story("a CA that is not verified: it is, and gets a group", { shots: "mend-x509-verify" }, async (told) => {
    const { server, portal, dialog } = told;
    const plant = certificateAuthority(server.folder, "Plant Root");
    await server.muster("certificate", "create", "--certificate-name", "plant-root", "--path", put(server, "plant.pem", plant.certificate));
    const device = ["--registration-id", "oven-5", ...plant.issue("oven-5", 90, [plant.certificate]).files];
    await told.refused(...device);
    await told.follow("oven-5", "The chain leads to a CA certificate that is not verified");
    await told.press("Verify the CA");
    const code = (await dialog.getByLabel("the verification code", { exact: true }).textContent()).trim();
    await dialog.getByLabel("3. The signed certificate").fill(plant.issue(code).certificate);
    await told.inDialog("Verify");
    await portal.toast("plant-root is verified");
    await told.press("Make a group of it");
    await dialog.getByRole("button", { name: "Create", exact: true }).click();
    await told.wouldBeLetIn();
    await told.letIn(...device);
  }),
  story("a certificate that was renewed: it is enrolled beside the old one", { shots: "mend-x509-renewed" }, async (told) => {
    const { server } = told;
    const plant = certificateAuthority(server.folder, "Plant Root");
    await server.muster("enrollment", "create", "--registration-id", "kiln-2", "--attestation-type", "x509", "--certificate-path", put(server, "kiln.pem", plant.issue("kiln-2").certificate));
    const device = ["--registration-id", "kiln-2", ...plant.issue("kiln-2").files];
    await told.refused(...device);
    await told.follow("kiln-2", "The device's certificate is not the enrolled one");
    await told.press("Enroll its new certificate");
    await told.inDialog("Enroll it");
    await told.wouldBeLetIn();
    await told.letIn(...device);
  }),
];
