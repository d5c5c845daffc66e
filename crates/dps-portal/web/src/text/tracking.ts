// A tracking id in what people paste: alone, or within the message that a device printed.

const ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
const ALONE = new RegExp(`^${ID}$`, "i");
const NAMED = new RegExp(`tracking[\\s_-]*id\\W*(${ID})(?![0-9a-f])`, "i");
const WITHIN = new RegExp(`(?<![0-9a-z-])(${ID})(?![0-9a-z-])`, "i");

/** What a search may be given: a message of a device is longer than an id. */
export const LONGEST = 4000;

/** The tracking id that is meant. A single word that only holds one is taken for a device's id. */
export function trackingIn(text: string): string | null {
  if (ALONE.test(text)) return text;
  return NAMED.exec(text)?.[1] ?? (/\s/.test(text) ? (WITHIN.exec(text)?.[1] ?? null) : null);
}
