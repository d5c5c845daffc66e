// Certificate authorities made by openssl, for a case.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
const CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";

/** A root, or, of an `issuer`, an intermediate. */
export function certificateAuthority(folder, name, issuer = undefined) {
  const at = mkdtempSync(join(folder, "ca-"));
  const openssl = (...args) => execFileSync("openssl", args, { cwd: at, stdio: ["ignore", "pipe", "ignore"] });
  const read = (file) => readFileSync(join(at, file), "utf8");
  const sign = (request, into, days, by, ...more) => openssl("x509", "-req", "-in", request, "-CA", join(by, "ca.pem"), "-CAkey", join(by, "ca.key"), "-CAcreateserial", "-days", String(days), "-out", into, ...more);
  if (issuer === undefined) {
    openssl("req", "-x509", ...KEY, "-keyout", "ca.key", "-out", "ca.pem", "-days", "365", "-subj", `/CN=${name}`);
  } else {
    openssl("req", "-new", ...KEY, "-keyout", "ca.key", "-out", "ca.csr", "-subj", `/CN=${name}`);
    writeFileSync(join(at, "ca.cnf"), CA);
    sign("ca.csr", "ca.pem", 365, issuer.folder, "-extfile", "ca.cnf");
  }
  let count = 0;
  return {
    folder: at,
    certificate: read("ca.pem"),
    /** An intermediate below it. */
    below: (name) => certificateAuthority(folder, name, { folder: at }),
    /** A leaf whose subject is of that common name; `cert` and `key` are files, the chain of `above` behind the leaf. */
    issue(commonName, days = 90, above = []) {
      const leaf = `leaf-${count++}`;
      writeFileSync(join(at, `${leaf}.cnf`), `[req]\ndistinguished_name=dn\nprompt=no\nutf8=yes\nstring_mask=utf8only\n[dn]\nCN=${commonName.replace(/[\\$#"]/g, "\\$&")}\n`);
      writeFileSync(join(at, "leaf.cnf"), "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n");
      openssl("req", "-new", ...KEY, "-keyout", `${leaf}.key`, "-out", `${leaf}.csr`, "-config", `${leaf}.cnf`);
      sign(`${leaf}.csr`, `${leaf}.pem`, days, at, "-extfile", "leaf.cnf");
      const certificate = read(`${leaf}.pem`);
      writeFileSync(join(at, `${leaf}.chain.pem`), [certificate, ...above].join(""));
      return { certificate, key: read(`${leaf}.key`), files: ["--cert", join(at, `${leaf}.chain.pem`), "--cert-key", join(at, `${leaf}.key`)] };
    },
  };
}

/** A server's certificate of a CA that is made for it. */
export function serverCertificate(folder, host) {
  const at = mkdtempSync(join(folder, "tls-"));
  const openssl = (...args) => execFileSync("openssl", args, { cwd: at, stdio: ["ignore", "pipe", "ignore"] });
  const read = (file) => readFileSync(join(at, file), "utf8");
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "90", "-subj", "/CN=Plant Root");
  openssl("req", "-new", ...key, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", `/CN=${host}`);
  writeFileSync(join(at, "leaf.ext"), `basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:${host}\n`);
  openssl("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "90", "-extfile", "leaf.ext", "-out", "leaf.pem");
  return { chain: read("leaf.pem"), key: read("leaf.key"), ca: read("ca.pem") };
}
