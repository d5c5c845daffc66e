// What can be done about a cause here, in the portal: which dialog, with what it is about. Pure; what each does is in its dialog.
import type { Cause } from "../../api/diagnosis";
import type { Kind } from "../../api/enrollments";

export type Way = { label: string; about: string } & Doing;

type Doing =
  | { does: "accept" }
  | { does: "rename"; from: string }
  | { does: "enable"; kind: Kind; id: string }
  | { does: "deviceKey"; kind: Kind; id: string }
  | { does: "group"; by: "certificate" | "reference"; issuer: string }
  | { does: "verify"; ca: string | null; group: string | null }
  | { does: "signer"; id: string; wanted: string }
  | { does: "shown"; id: string; what: "certificate" | "endorsementKey" }
  | { does: "edit"; kind: Kind; id: string }
  | { does: "enroll"; id: string; deviceId: string }
  | { does: "webhook"; kind: Kind; id: string }
  | { does: "hub"; name: string | null }
  | { does: "network"; address: string | null }
  | { does: "fault"; rule: string }
  | { does: "forget" };

/** A fact of the evidence. */
export function fact(of: Cause, name: string): string | null {
  return of.evidence?.find((e) => e.name === name)?.value ?? null;
}

/** The enrollment that a cause names. */
export function enrollmentOf(of: Cause): { kind: Kind; id: string } | null {
  const group = fact(of, "EnrollmentGroup");
  const one = fact(of, "IndividualEnrollment");
  return group !== null ? { kind: "enrollmentGroups", id: group } : one !== null ? { kind: "enrollments", id: one } : null;
}

const ACCEPT: Way = { does: "accept", label: "Enroll it", about: "Makes an enrollment of what the device showed." };

function identity(of: Cause): Way[] | null {
  const named = enrollmentOf(of);
  switch (of.code) {
    case "ENROLLMENT_NOT_FOUND":
    case "EVIDENCE_MISSING":
      return [ACCEPT];
    case "ENROLLMENT_NEAR_MISS": {
      const from = fact(of, "nearest") ?? "";
      return [{ does: "rename", from, label: "Correct the enrollment's id", about: `If ${from} was a typing error: the enrollment takes the id of the device, with its keys.` }, { ...ACCEPT, label: "Enroll it as another device" }];
    }
    case "ENROLLMENT_DISABLED":
      return named === null ? [] : [{ does: "enable", ...named, label: "Enable it", about: named.kind === "enrollments" ? "The device is let in the next time that it asks." : `All devices of ${named.id} are let in again.` }];
    case "REGID_CHARSET": {
      const id = fact(of, "registrationId") ?? "";
      return [{ does: "enroll", id: id.replace(/[^A-Za-z0-9\-._:]+/g, "-").replace(/^[-.]+|[._:]+$/g, ""), deviceId: id, label: "Enroll it under an id that fits", about: "It keeps its name as the device id on the hub, and registers by the new id." }];
    }
    default:
      return null;
  }
}

function keys(of: Cause, device: string): Way[] | null {
  const show = (kind: Kind, id: string): Way => ({ does: "deviceKey", kind, id, label: "Show the right key", about: "The key of this one device, to be put on it in place of the one that it uses." });
  const named = enrollmentOf(of);
  switch (of.code) {
    case "SAS_GROUP_KEY_USED":
    case "SAS_DOUBLE_DERIVED":
    case "SAS_DERIVED_FOR_OTHER_CASE":
    case "SAS_GROUP_KEY_NOT_DECODED":
      return [show("enrollmentGroups", fact(of, "enrollment") ?? "")];
    case "SAS_DERIVED_FROM_INDIVIDUAL_KEY":
    case "SAS_KEY_NOT_DECODED":
      return [show("enrollments", fact(of, "enrollment") ?? device)];
    case "SAS_SIGNATURE_MISMATCH":
      return named === null ? [] : [show(named.kind, named.id), ...(named.kind === "enrollments" ? [{ does: "edit", ...named, label: "Enroll the device's key", about: "If the device's key is the right one: write it into the enrollment." } as const] : [])];
    case "EVIDENCE_OTHER_KIND":
      return named === null ? [] : [{ does: "edit", ...named, label: "Change the enrollment", about: "To what the device shows." }];
    default:
      return null;
  }
}

function certificates(of: Cause): Way[] | null {
  const named = enrollmentOf(of);
  const id = named?.id ?? "";
  const issuer = fact(of, "missing certificate") ?? fact(of, "issuer") ?? "";
  const ca = fact(of, "uploaded as");
  const group: Way = { does: "group", by: "certificate", issuer, label: "Enroll the issuer", about: `Lets in every device with a certificate of ${issuer}. You need that CA's certificate, not its key.` };
  switch (of.code) {
    case "X509_CHAIN_INCOMPLETE":
      return [group];
    case "X509_ISSUER_UNKNOWN":
      return [ACCEPT, ...(issuer === "" ? [] : [group])];
    case "X509_NO_GROUP_FOR_CA":
      return ca === null ? [] : [{ does: "group", by: "reference", issuer: ca, label: "Make a group of it", about: `Lets in every device whose chain leads to ${ca}.` }];
    case "X509_NO_VERIFIED_ANCHOR":
    case "X509_CA_NOT_VERIFIED":
      return [
        { does: "verify", ca, group: named?.id ?? null, label: "Verify the CA", about: "Proves that you hold its key: sign one small certificate with it." },
        ...(ca === null ? [] : [{ does: "group", by: "reference", issuer: ca, label: "Make a group of it", about: "Then devices of this CA are let in." } as const]),
      ];
    case "X509_CERTIFICATE_NOT_ENROLLED":
      return [{ does: "shown", id, what: "certificate", label: "Enroll its new certificate", about: "The certificate that the device showed becomes the second one of its enrollment." }];
    case "X509_SIGNER_REISSUED":
    case "X509_SIGNER_NOT_IN_CHAIN":
      return [{ does: "signer", id, wanted: fact(of, "key that the chain asks for") ?? "", label: "Add the new CA certificate", about: `It becomes the second one of ${id}; devices of the old one stay welcome.` }];
    case "X509_CA_REFERENCE_UNRESOLVED":
      return named === null ? [] : [{ does: "edit", ...named, label: "Choose another CA", about: "The group names a CA certificate that is not uploaded." }];
    default:
      return null;
  }
}

function tpm(of: Cause, device: string): Way[] | null {
  switch (of.code) {
    case "EK_CHANGED":
    case "EK_TEMPLATE":
      return [{ does: "shown", id: device, what: "endorsementKey", label: "Accept the new endorsement key", about: "If you know why it has another one: a new board, a TPM that was cleared." }];
    case "EK_ENROLLED_UNDER_OTHER_ID":
      return [{ does: "rename", from: fact(of, "enrolled as") ?? "", label: "Give the enrollment this id", about: "The TPM is enrolled under the other id; the enrollment takes this one." }];
    default:
      return null;
  }
}

function rest(of: Cause): Way[] {
  const named = enrollmentOf(of);
  const hub = fact(of, "hub");
  switch (of.code) {
    case "HUB_LINK_UNAUTHORIZED":
      return [{ does: "hub", name: hub, label: "Give the link its right key", about: `Paste the connection string that ${hub} has now.` }];
    case "HUB_NOT_FOUND":
    case "HUB_UNREACHABLE":
      return [{ does: "hub", name: hub, label: "Change the link", about: `If ${hub} has another name or key now.` }];
    case "NO_HUB_AVAILABLE":
      return [{ does: "hub", name: null, label: "Link a hub", about: "Devices need a hub to be sent to." }];
    case "IP_FILTER_REJECTED":
    case "PUBLIC_NETWORK_ACCESS_DISABLED":
      return [{ does: "network", address: of.code === "IP_FILTER_REJECTED" ? fact(of, "address") : null, label: "Let it in by the network rules", about: "The rules of this service keep its address out." }];
    case "FAULT_INJECTED":
      return [{ does: "fault", rule: fact(of, "rule") ?? "", label: "Remove the fault", about: "Somebody asked for it, to test devices." }];
    case "ASSIGNED_BUT_HUB_MISSING":
      return [{ does: "forget", label: "Forget its registration", about: "The device gets a new place when it registers again." }];
    default:
      return of.code.startsWith("WEBHOOK_") && named !== null ? [{ does: "webhook", ...named, label: "Change the webhook's address", about: `It is part of ${named.id}; a function's key belongs to it, as ?code=…` }] : [];
  }
}

export function waysOf(of: Cause, device: string): Way[] {
  return identity(of) ?? keys(of, device) ?? certificates(of) ?? tpm(of, device) ?? rest(of);
}
