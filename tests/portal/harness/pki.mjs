// A certificate authority made by openssl, for a case.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export function certificateAuthority(folder, name) {
  const at = mkdtempSync(join(folder, "ca-"));
  const openssl = (...args) => execFileSync("openssl", args, { cwd: at, stdio: ["ignore", "pipe", "ignore"] });
  const read = (file) => readFileSync(join(at, file), "utf8");
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "365", "-subj", `/CN=${name}`);
  let count = 0;
  return {
    certificate: read("ca.pem"),
    /** A leaf whose subject is of that common name. */
    issue(commonName, days = 90) {
      const leaf = `leaf-${count++}`;
      writeFileSync(join(at, `${leaf}.cnf`), `[req]\ndistinguished_name=dn\nprompt=no\nutf8=yes\nstring_mask=utf8only\n[dn]\nCN=${commonName.replace(/[\\$#"]/g, "\\$&")}\n`);
      openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", `${leaf}.key`, "-out", `${leaf}.csr`, "-config", `${leaf}.cnf`);
      openssl("x509", "-req", "-in", `${leaf}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", String(days), "-out", `${leaf}.pem`);
      return { certificate: read(`${leaf}.pem`), key: read(`${leaf}.key`) };
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
