// DER, as far as certificates need it: elements in elements, with every length checked against what is there.

export interface Element {
  tag: number;
  /** The contents. */
  body: Uint8Array;
  /** The whole, head included. */
  whole: Uint8Array;
}

export class DerError extends Error {}

const MOST_ELEMENTS = 4096;

export function one(bytes: Uint8Array): Element {
  const [element, rest] = next(bytes);
  if (rest.length > 0) throw new DerError("there is more behind the end");
  return element;
}

export function children(of: Element): Element[] {
  const out: Element[] = [];
  let rest = of.body;
  while (rest.length > 0) {
    if (out.length >= MOST_ELEMENTS) throw new DerError("too many elements");
    const [element, after] = next(rest);
    out.push(element);
    rest = after;
  }
  return out;
}

export function next(bytes: Uint8Array): [Element, Uint8Array] {
  const tag = bytes[0];
  const first = bytes[1];
  if (tag === undefined || first === undefined) throw new DerError("it ends too early");
  if ((tag & 0x1f) === 0x1f) throw new DerError("a tag is too large");
  let length = first;
  let head = 2;
  if (first >= 0x80) {
    const octets = first & 0x7f;
    if (octets === 0 || octets > 3) throw new DerError("a length is not DER");
    length = 0;
    for (let i = 0; i < octets; i++) {
      const octet = bytes[head + i];
      if (octet === undefined) throw new DerError("it ends too early");
      length = length * 256 + octet;
    }
    head += octets;
  }
  const end = head + length;
  if (end > bytes.length) throw new DerError("it ends too early");
  return [{ tag, body: bytes.subarray(head, end), whole: bytes.subarray(0, end) }, bytes.subarray(end)];
}

export function oid(body: Uint8Array): string {
  const arcs: number[] = [];
  let value = 0;
  body.forEach((octet) => {
    value = value * 128 + (octet & 0x7f);
    if (octet < 0x80) {
      if (arcs.length === 0) {
        const top = Math.min(2, Math.floor(value / 40));
        arcs.push(top, value - 40 * top);
      } else arcs.push(value);
      value = 0;
    }
  });
  return arcs.join(".");
}

export function hex(bytes: Uint8Array, between = ""): string {
  return [...bytes].map((b) => b.toString(16).padStart(2, "0")).join(between).toUpperCase();
}

/** A text of any of the string types that names are made of. */
export function words(of: Element): string {
  if (of.tag === 0x1e) {
    let out = "";
    for (let i = 0; i + 1 < of.body.length; i += 2) out += String.fromCharCode((of.body[i] ?? 0) * 256 + (of.body[i + 1] ?? 0));
    return out;
  }
  return new TextDecoder(of.tag === 0x0c ? "utf-8" : "windows-1252").decode(of.body);
}

export function time(of: Element): Date | null {
  const text = new TextDecoder("windows-1252").decode(of.body);
  const match = of.tag === 0x17 ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?Z$/.exec(text) : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:\.\d+)?Z$/.exec(text);
  if (match === null) return null;
  const [, y = "0", mo = "1", d = "1", h = "0", mi = "0", s = "0"] = match;
  const year = Number(y) + (of.tag === 0x17 ? (Number(y) < 50 ? 2000 : 1900) : 0);
  return new Date(Date.UTC(year, Number(mo) - 1, Number(d), Number(h), Number(mi), Number(s)));
}
