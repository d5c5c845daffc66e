// Symmetric keys: the group's key on a device, and a key that is nobody's. What is to be put on the device is shown.
import assert from "node:assert/strict";
import { enroll, newKey, story } from "../harness/mend.mjs";
import { register, token } from "../harness/seed.mjs";

/** The right key, as the dialog shows it. */
async function shownKey(told) {
  await told.press("Show the right key");
  const { dialog, portal } = told;
  const key = (await dialog.getByLabel("the device's key", { exact: true }).textContent()).trim();
  await dialog.getByText("With this key it would be let in.").waitFor();
  await portal.accessible("a device's key");
  await told.picture("3-mend");
  await dialog.getByRole("button", { name: "Done" }).click();
  // What it showed before was made with another key, and says nothing now.
  await told.page.getByText("Now put the key on the device").first().waitFor();
  assert.equal(await told.page.getByText("No, it would still be refused").count(), 0);
  return key;
}

export default [
  story("the group's key on a device: it gets its own", { shots: "mend-key-group" }, async (told) => {
    const key = newKey();
    await told.server.muster("enrollment-group", "create", "--enrollment-id", "packers", "--primary-key", key, "--secondary-key", newKey());
    await told.refused("--registration-id", "packer-7", "--key", key);
    await told.follow("packer-7", "The group's key was used as the device's");
    await told.stillRefused();
    await told.letIn("--registration-id", "packer-7", "--key", await shownKey(told));
  }),
  story("another key than the enrolled one: the right one is shown", {}, async (told) => {
    await enroll(told.server, "mixer-4", newKey());
    await told.refused("--registration-id", "mixer-4", "--key", newKey(), "--transport", "https");
    await told.followCause("mixer-4", "The SAS token is signed with another key");
    await told.letIn("--registration-id", "mixer-4", "--key", await shownKey(told));
  }),
  story("a clock that was never set: the command that sets it is there", { shots: "mend-key-clock" }, async (told) => {
    const { server, page } = told;
    const key = newKey();
    await enroll(server, "lamp-1", key);
    await register(server, "lamp-1", token(`${server.env.MUSTER_ID_SCOPE}/registrations/lamp-1`, key, 3700, "registration"));
    await told.follow("lamp-1", "The device's clock was never set");
    await page.getByText("timedatectl set-ntp true").first().waitFor();
    await told.letIn("--registration-id", "lamp-1", "--key", key);
  }),
];
