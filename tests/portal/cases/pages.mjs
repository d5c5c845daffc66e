// Every page, light and dark, on a desktop and on a phone: whole, accessible, and not wider than the window.
import { DESKTOP, PHONE } from "../harness/browser.mjs";

const PAGES = ["overview", "diagnose", "diagnose/dry-run", "diagnose/causes", "logs", "metrics?metric=AttestationAttempts&split=Status&kind=bar", "alerts", "alerts/rules", "alerts/groups", "alerts/builtin", "settings", "enrollments", "groups", "inbox", "enrollment/press-1", "device/press-1", "hubs", "certificates", "policies", "dev"];
const DIALOGS = [
  ["enrollments", "New enrollment"],
  ["groups", "New group"],
  ["alerts/rules", "Metric rule"],
  ["alerts/rules", "Log rule"],
  ["alerts/groups", "New action group"],
  ["settings", "Add diagnostic setting"],
  ["hubs", "Link a hub"],
  ["certificates", "Upload"],
  ["policies", "New policy"],
];

const LOOKS = [
  ["desktop-light", { viewport: DESKTOP, theme: "light" }],
  ["desktop-dark", { viewport: DESKTOP, theme: "dark" }],
  ["phone-light", { viewport: PHONE, theme: "light" }],
  ["phone-dark", { viewport: PHONE, theme: "dark" }],
];

export default LOOKS.flatMap(([look, options]) => [
  {
    name: `every page is accessible and fits: ${look}`,
    async run({ open }) {
      const portal = await open(options);
      await portal.signIn();
      for (const hash of PAGES) {
        await portal.go(`#/${hash}`);
        await portal.accessible(`${hash}, ${look}`);
        await portal.fits(`${hash}, ${look}`);
        await portal.shot(`${look}-${hash.replace(/\W+/g, "-").slice(0, 30)}`);
      }
    },
  },
  {
    name: `every form is accessible: ${look}`,
    async run({ open }) {
      const portal = await open(options);
      await portal.signIn();
      for (const [hash, button] of DIALOGS) {
        await portal.go(`#/${hash}`);
        const opener = portal.page.locator("main").getByRole(button.endsWith("rule") ? "link" : "button", { name: button }).first();
        await opener.click();
        await portal.page.getByRole("dialog").waitFor();
        await portal.settled();
        await portal.accessible(`${button}, ${look}`);
        await portal.shot(`${look}-form-${button.replace(/\W+/g, "-")}`);
        await portal.page.keyboard.press("Escape");
        await portal.page.getByRole("dialog").waitFor({ state: "detached" });
      }
    },
  },
  {
    name: `the sign-in page is accessible: ${look}`,
    async run({ open, server }) {
      const portal = await open(options);
      await portal.page.goto(server.portal);
      await portal.page.getByLabel("Connection string or token").waitFor();
      await portal.accessible(`sign-in, ${look}`);
      await portal.fits(`sign-in, ${look}`);
      await portal.shot(`${look}-sign-in`);
    },
  },
]);
