// A failing device, and somebody who knows nothing: from the overview to the cause, to what mends it, until the device is
// let in. Each story has a server of its own, with a few devices that work.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { PHONE } from "./browser.mjs";
import { start } from "./server.mjs";

/** As large as the guide's pictures are. */
const WINDOW = { width: 1200, height: 780 };

export const newKey = () => randomBytes(48).toString("base64");

/** A case of its own server. `tell` is given what a story needs. */
export function story(name, what, tell) {
  const { needs = [], options = ["--hub", "hub-1.localhost", "--hub", "hub-2.localhost"], environment = () => ({}) } = what;
  return {
    name,
    needs: ["attempts", "rehearsals", "inbox", ...needs],
    async run(context) {
      const server = context.lasting(await start(context.muster, options, undefined, await environment(context)));
      await someThatWork(server);
      const portal = await context.open({ server, viewport: WINDOW });
      await tell(new Story(what.shots, server, portal));
    },
  };
}

async function someThatWork(server) {
  const one = async (id) => {
    const key = newKey();
    await enroll(server, id, key);
    assert.ok((await server.provision(id, key)).accepted);
  };
  await Promise.all(["press-1", "press-2", "saw-1"].map(one));
}

export const enroll = (server, id, key, ...more) => server.muster("enrollment", "create", "--registration-id", id, "--attestation-type", "symmetricKey", "--primary-key", key, "--secondary-key", newKey(), ...more);

class Story {
  constructor(shots, server, portal) {
    Object.assign(this, { shots, server, portal, page: portal.page, dialog: portal.page.getByRole("dialog") });
  }

  /** The device comes, and is not let in. */
  async refused(...device) {
    const { accepted, said } = await this.server.device(...device);
    assert.ok(!accepted, `the device was let in: ${said}`);
    return said;
  }

  /** What is clicked by whoever was told that a device does not work: its line on the overview, which leads to the cause. The
   *  cause is among what is seen without scrolling, and so is what mends it. */
  async follow(device, title) {
    const { page, portal } = this;
    await portal.signIn();
    const line = page.getByRole("region", { name: "Devices that are not let in" }).getByRole("link", { name: device });
    await line.waitFor();
    await portal.settled();
    await this.picture("1-overview");
    await line.click();
    await this.sees(title);
    await portal.settled();
    await this.picture("2-cause");
    await this.elsewhere();
  }

  /** The other way: by the commonest cause, to the devices that it befell. */
  async followCause(device, title) {
    const { page, portal } = this;
    await portal.signIn();
    await page.getByRole("region", { name: "Top causes of refusals" }).getByRole("link", { name: title }).click();
    await page.getByRole("button", { name: "Show every cause" }).waitFor();
    await page.getByRole("link", { name: device, exact: true }).click();
    await this.sees(title);
  }

  /** It is there without scrolling. */
  async sees(text) {
    const { page } = this;
    const found = page.locator("main").getByText(text, { exact: true }).first();
    await found.waitFor();
    const box = await found.boundingBox();
    assert.ok(box !== null && box.y > 0 && box.y + box.height < page.viewportSize().height, `${text} is not seen without scrolling`);
  }

  /** The same page in the dark, and on a phone. */
  async elsewhere() {
    const { page, portal } = this;
    for (const [look, size, colorScheme] of [["dark", WINDOW, "dark"], ["phone", PHONE, "light"]]) {
      await page.setViewportSize(size);
      await page.emulateMedia({ colorScheme });
      await portal.accessible(`a cause, ${look}`);
      await portal.fits(`a cause, ${look}`);
      await this.picture(`2-cause-${look}`);
    }
    await page.setViewportSize(WINDOW);
    await page.emulateMedia({ colorScheme: "light" });
  }

  press = (name) => this.page.locator("main").getByRole("button", { name, exact: true }).first().click();

  async inDialog(name) {
    const { dialog, portal } = this;
    await portal.accessible(`the dialog of ${name}`);
    await this.picture("3-mend");
    await dialog.getByRole("button", { name, exact: true }).click();
    await dialog.waitFor({ state: "detached" });
  }

  /** The page says by itself that the device would be let in. */
  async wouldBeLetIn() {
    const { page } = this;
    await page.getByText("Yes, it would be let in.").first().waitFor();
    await this.picture("4-mended");
  }

  /** The device comes again, and the page it is looked at on says so. */
  async letIn(...device) {
    const { page } = this;
    const { accepted, said } = await this.server.device(...device);
    assert.ok(accepted, `the device was refused: ${said}`);
    await page.getByText("It is let in.").waitFor();
    await this.picture("5-let-in");
  }

  /** The dry run of what it showed says no. */
  async stillRefused() {
    await this.press("Would it be let in now?");
    await this.page.getByText("No, it would still be refused").first().waitFor();
  }

  async picture(step) {
    if (this.shots !== undefined) await this.portal.picture(`${this.shots}-${step}`);
  }
}
