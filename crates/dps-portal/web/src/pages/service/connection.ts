// A hub's connection string as people paste it: alone, or within the note that it came in.

/** The connection string that stands in a text, that of `wanted` where there are several. */
export function picked(text: string, wanted: string | null): string {
  const found = [...text.matchAll(/[^\s"'`<>()]*HostName=[^\s"'`<>()]+/gi)].map(([run]) => run.replace(/^.*?(?=(?:HostName|SharedAccessKeyName|SharedAccessKey)=)/i, "").replace(/[.,;:]+$/, ""));
  return found.find((one) => wanted !== null && same(hostOf(one), wanted)) ?? found[0] ?? text.trim();
}

export function hostOf(connection: string): string {
  return /(?:^|;)\s*HostName=([^;]+)/i.exec(connection)?.[1]?.trim() ?? "";
}

export function keyName(connection: string): string {
  return /SharedAccessKeyName=([^;]+)/i.exec(connection)?.[1] ?? "";
}

/** What is wrong with a string for the link to `linked`, or for a new link. */
export function judgeConnection(connection: string, linked: string | null): string | null {
  if (connection === "") return linked === null ? "The hub's connection string is needed" : null;
  const host = hostOf(connection);
  if (linked !== null && host !== "" && !same(host, linked)) return `This is the string of ${bare(host)}, the link is to ${linked}. Copy the one of ${linked}.`;
  const lacks = ["HostName", "SharedAccessKeyName", "SharedAccessKey"].find((part) => !new RegExp(`(^|;)\\s*${part}=[^;]+`, "i").test(connection));
  return lacks === undefined ? null : `It lacks ${lacks}=…`;
}

/** A host without its port, which a hub may change. */
export function bare(host: string): string {
  return host.replace(/:\d+$/, "");
}

function same(a: string, b: string): boolean {
  return bare(a).toLowerCase() === bare(b).toLowerCase();
}
