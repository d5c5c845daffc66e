// What a pasted certificate is: names, validity, key, key identifiers, thumbprints. It verifies nothing; the server does.
import { children, DerError, hex, next, oid, one, time, words, type Element } from "./der";

export interface Certificate {
  subject: string;
  commonName: string | null;
  issuer: string;
  serial: string;
  notBefore: Date | null;
  notAfter: Date | null;
  key: string;
  signature: string;
  isCa: boolean;
  selfSigned: boolean;
  subjectKeyId: string | null;
  authorityKeyId: string | null;
  altNames: string[];
  sha1: string;
  sha256: string;
  der: Uint8Array;
}

const LARGEST = 64 * 1024;
const MOST = 10;

const NAMES: Record<string, string> = {
  "2.5.4.3": "CN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "street", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title",
  "0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID", "1.2.840.113549.1.9.1": "email",
};
const ALGORITHMS: Record<string, string> = {
  "1.2.840.113549.1.1.1": "RSA", "1.2.840.113549.1.1.5": "RSA with SHA-1", "1.2.840.113549.1.1.11": "RSA with SHA-256", "1.2.840.113549.1.1.12": "RSA with SHA-384", "1.2.840.113549.1.1.13": "RSA with SHA-512", "1.2.840.113549.1.1.10": "RSA-PSS",
  "1.2.840.10045.2.1": "EC", "1.2.840.10045.4.3.2": "ECDSA with SHA-256", "1.2.840.10045.4.3.3": "ECDSA with SHA-384", "1.2.840.10045.4.3.4": "ECDSA with SHA-512", "1.3.101.112": "Ed25519", "1.3.101.113": "Ed448",
};
const CURVES: Record<string, string> = { "1.2.840.10045.3.1.7": "P-256", "1.3.132.0.34": "P-384", "1.3.132.0.35": "P-521", "1.3.132.0.10": "secp256k1" };

/** Every certificate of a PEM text, or one as base64 of DER. What it is not is said in the error. */
export async function readCertificates(text: string): Promise<Certificate[]> {
  const trimmed = text.trim();
  if (trimmed === "") return [];
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(trimmed)) throw new DerError("This holds a private key. A private key belongs on the device alone; paste the certificate.");
  if (/-----BEGIN CERTIFICATE REQUEST-----/.test(trimmed)) throw new DerError("This is a request for a certificate, not a certificate.");
  if (/-----BEGIN PUBLIC KEY-----/.test(trimmed)) throw new DerError("This is a public key, not a certificate.");
  const blocks = [...trimmed.matchAll(/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----([\s\S]*?)-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g)].map((m) => m[1] ?? "");
  if (blocks.length === 0 && trimmed.includes("-----BEGIN")) throw new DerError("The text does not end: is the line -----END CERTIFICATE----- missing?");
  const bodies = blocks.length > 0 ? blocks : [trimmed];
  if (bodies.length > MOST) throw new DerError(`More than ${MOST} certificates.`);
  return Promise.all(bodies.map((body) => parse(bytesOf(body))));
}

function bytesOf(base64: string): Uint8Array {
  const clean = base64.replace(/\s+/g, "");
  if (clean.length > LARGEST) throw new DerError("This is too large for a certificate.");
  try {
    return Uint8Array.from(atob(clean), (c) => c.charCodeAt(0));
  } catch {
    throw new DerError("This is neither PEM nor base64.");
  }
}

async function parse(der: Uint8Array): Promise<Certificate> {
  let parts: Omit<Certificate, "sha1" | "sha256" | "der">;
  try {
    parts = fields(der);
  } catch (error) {
    throw new DerError(`This is not a certificate: ${error instanceof Error ? error.message : "it cannot be read"}.`);
  }
  const bytes = new Uint8Array(der);
  const [sha1, sha256] = await Promise.all([crypto.subtle.digest("SHA-1", bytes), crypto.subtle.digest("SHA-256", bytes)]);
  return { ...parts, sha1: hex(new Uint8Array(sha1)), sha256: hex(new Uint8Array(sha256)), der };
}

function fields(der: Uint8Array): Omit<Certificate, "sha1" | "sha256" | "der"> {
  const [tbs] = children(expect(one(der), 0x30));
  const inside = children(expect(tbs, 0x30));
  if (inside[0]?.tag === 0xa0) inside.shift();
  const [serial, signature, issuer, validity, subject, spki, ...rest] = inside;
  const [from, until] = children(expect(validity, 0x30));
  const extensions = rest.find((e) => e.tag === 0xa3);
  const known = new Map<string, Uint8Array>();
  if (extensions !== undefined) {
    for (const extension of children(expect(children(extensions)[0], 0x30))) {
      const [id, ...values] = children(extension);
      const value = values.find((v) => v.tag === 0x04);
      if (id !== undefined && value !== undefined) known.set(oid(id.body), value.body);
    }
  }
  const subjectName = name(expect(subject, 0x30));
  const issuerName = name(expect(issuer, 0x30));
  return {
    subject: subjectName.text,
    commonName: subjectName.cn,
    issuer: issuerName.text,
    serial: hex(expect(serial, 0x02).body).replace(/^00(?=..)/, ""),
    notBefore: from === undefined ? null : time(from),
    notAfter: until === undefined ? null : time(until),
    key: keyOf(expect(spki, 0x30)),
    signature: ALGORITHMS[oid(expect(children(expect(signature, 0x30))[0], 0x06).body)] ?? "another algorithm",
    isCa: isCa(known.get("2.5.29.19")),
    selfSigned: subjectName.text === issuerName.text,
    subjectKeyId: keyId(known.get("2.5.29.14")),
    authorityKeyId: authority(known.get("2.5.29.35")),
    altNames: altNames(known.get("2.5.29.17")),
  };
}

function expect(of: Element | undefined, tag: number): Element {
  if (of?.tag !== tag) throw new DerError("a part of it is missing");
  return of;
}

function name(of: Element): { text: string; cn: string | null } {
  let cn: string | null = null;
  const parts = children(of).flatMap((set) =>
    children(set).map((pair) => {
      const [type, value] = children(pair);
      const key = type === undefined ? "" : oid(type.body);
      const text = value === undefined ? "" : words(value);
      if (key === "2.5.4.3") cn = text;
      return `${NAMES[key] ?? key}=${text.replace(/([,+"\\<>;])/g, "\\$1")}`;
    }),
  );
  return { text: parts.reverse().join(", "), cn };
}

function keyOf(spki: Element): string {
  const [algorithm, bits] = children(spki);
  const [id, parameter] = children(expect(algorithm, 0x30));
  const kind = ALGORITHMS[oid(expect(id, 0x06).body)] ?? "another kind of key";
  if (kind === "EC" && parameter?.tag === 0x06) return `EC ${CURVES[oid(parameter.body)] ?? "of another curve"}`;
  if (kind === "RSA") {
    const modulus = children(expect(one(expect(bits, 0x03).body.subarray(1)), 0x30))[0];
    const length = modulus === undefined ? 0 : modulus.body.length - (modulus.body[0] === 0 ? 1 : 0);
    return `RSA ${length * 8} bits`;
  }
  return kind;
}

function isCa(value: Uint8Array | undefined): boolean {
  if (value === undefined) return false;
  const flag = children(expect(one(value), 0x30))[0];
  return flag?.tag === 0x01 && flag.body[0] !== 0;
}

function keyId(value: Uint8Array | undefined): string | null {
  return value === undefined ? null : hex(one(value).body);
}

function authority(value: Uint8Array | undefined): string | null {
  if (value === undefined) return null;
  const id = children(expect(one(value), 0x30)).find((e) => e.tag === 0x80);
  return id === undefined ? null : hex(id.body);
}

function altNames(value: Uint8Array | undefined): string[] {
  if (value === undefined) return [];
  return children(expect(one(value), 0x30))
    .flatMap((e) => (e.tag === 0x82 || e.tag === 0x81 || e.tag === 0x86 ? [words({ ...e, tag: 0x16 })] : []))
    .slice(0, 20);
}

/** The SKI or EK of a TPM's public area, in short; what is wrong with it, or nothing. */
export function judgeEndorsementKey(base64: string): string | null {
  const clean = base64.replace(/\s+/g, "");
  if (clean === "") return "An endorsement key is needed";
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.from(atob(clean), (c) => c.charCodeAt(0));
  } catch {
    return "This is not base64";
  }
  if (bytes[0] === 0x30) {
    try {
      next(bytes);
      return "This looks like DER (a certificate or a public key). The endorsement key is the TPM's TPM2B_PUBLIC in base64; it begins with AToA";
    } catch {
      return "This is not a TPM2B_PUBLIC";
    }
  }
  const size = (bytes[0] ?? 0) * 256 + (bytes[1] ?? 0);
  const turned = (bytes[1] ?? 0) * 256 + (bytes[0] ?? 0);
  if (size === bytes.length - 2) return null;
  if (turned === bytes.length - 2) return "The first two bytes are in the machine's own order, as tpm2-tools may write them. Turn them around: the text then begins with AToA";
  if (bytes.length < 40) return "This is too short for an endorsement key";
  return null;
}

/** What is wrong with a symmetric key, or nothing. */
export function judgeSymmetricKey(key: string): string | null {
  if (key === "") return null;
  if (/^([0-9a-f]{2}){16,}$/i.test(key)) return "This looks like hexadecimal; a key is base64";
  let bytes: string;
  try {
    bytes = atob(key);
  } catch {
    return "This is not base64";
  }
  if (btoa(bytes) !== key) return "This is not base64 as it must be written: are signs missing at its end?";
  return bytes.length < 16 || bytes.length > 64 ? `A key has 16 to 64 bytes; this one has ${bytes.length}` : null;
}

export function pem(of: Certificate): string {
  let binary = "";
  for (const byte of of.der) binary += String.fromCharCode(byte);
  const lines = btoa(binary).match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
