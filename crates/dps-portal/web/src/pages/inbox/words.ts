// What a group of unknown devices is called.
import type { InboxItem } from "../../api/diagnosis";

export function titleOf(of: InboxItem): string {
  if (of.title !== undefined && of.title !== "") return of.title;
  const about = of.about ?? {};
  const scope = about.idScope === undefined ? undefined : `ID scope ${about.idScope}`;
  return about.issuer ?? scope ?? about.registrationId ?? of.devices?.[0]?.registrationId ?? of.id;
}

const KINDS: Record<string, string> = { issuer: "Certificates of an issuer", certificate: "Certificate", tpm: "TPM", symmetricKey: "Symmetric key", noEvidence: "Nothing", idScope: "Unknown ID scope" };

export function kindOf(of: InboxItem): string {
  return KINDS[of.kind] ?? of.kind;
}
