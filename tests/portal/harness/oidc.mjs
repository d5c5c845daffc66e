// An OpenID provider of the tests' own: discovery, authorization code with PKCE, ID tokens signed with RS256. Who signs in is
// chosen on its page. It is as strict as a provider should be, and can be told to lie.
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { createServer } from "node:http";
import { parse } from "node:querystring";

const b64 = (data) => Buffer.from(data).toString("base64url");

/** People are `{ name: groups }`. */
export async function openIdProvider(client, people) {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwk = { ...publicKey.export({ format: "jwk" }), kid: "portal-1", use: "sig", alg: "RS256" };
  const codes = new Map();
  const provider = {
    /** Changes the claims of the next ID tokens. */
    lie: (claims) => claims,
    /** Codes that were exchanged. */
    exchanged: [],
    tokens: [],
    url: "",
    stop: () => new Promise((done) => (http.close(done), http.closeAllConnections())),
  };

  const json = (answer, status, body) => answer.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store" }).end(JSON.stringify(body));
  const idToken = ({ who, nonce }) => {
    const now = Math.floor(Date.now() / 1000);
    const claims = provider.lie({ iss: provider.url, aud: client, sub: `sub-${who}`, email: `${who}@login.test`, groups: people[who], iat: now, exp: now + 300, nonce });
    const signed = `${b64(JSON.stringify({ alg: "RS256", typ: "JWT", kid: jwk.kid }))}.${b64(JSON.stringify(claims))}`;
    const token = `${signed}.${b64(sign("RSA-SHA256", Buffer.from(signed), privateKey))}`;
    provider.tokens.push(token);
    return token;
  };
  const routes = {
    "GET /.well-known/openid-configuration": (_, answer) =>
      json(answer, 200, { issuer: provider.url, jwks_uri: `${provider.url}/keys`, authorization_endpoint: `${provider.url}/authorize`, token_endpoint: `${provider.url}/token`, response_types_supported: ["code"], subject_types_supported: ["public"], id_token_signing_alg_values_supported: ["RS256"], code_challenge_methods_supported: ["S256"] }),
    "GET /keys": (_, answer) => json(answer, 200, { keys: [jwk] }),
    "GET /authorize": (url, answer) => {
      const asked = url.searchParams;
      const wrong = asked.get("response_type") !== "code" || asked.get("client_id") !== client || asked.get("code_challenge_method") !== "S256" || !asked.get("code_challenge") || !asked.get("state") || !asked.get("nonce") || !asked.get("scope")?.split(" ").includes("openid");
      if (wrong) return json(answer, 400, { error: "invalid_request" });
      const link = (who) => {
        const code = randomBytes(24).toString("base64url");
        codes.set(code, { who, nonce: asked.get("nonce"), challenge: asked.get("code_challenge"), redirect: asked.get("redirect_uri") });
        return `<p><a href="${asked.get("redirect_uri")}?code=${code}&amp;state=${asked.get("state")}">${who}</a>`;
      };
      const refuse = `<p><a href="${asked.get("redirect_uri")}?error=access_denied&amp;state=${asked.get("state")}">nobody</a>`;
      answer.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(`<!doctype html><html lang="en"><title>Login</title><link rel="icon" href="data:,"><h1>Who are you?</h1>${Object.keys(people).map(link).join("")}${refuse}`);
    },
    "POST /token": async (_, answer, request) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      const form = parse(body);
      const code = codes.get(form.code);
      codes.delete(form.code);
      const proven = code !== undefined && form.grant_type === "authorization_code" && form.client_id === client && form.redirect_uri === code.redirect && createHash("sha256").update(form.code_verifier ?? "").digest("base64url") === code.challenge;
      if (!proven) return json(answer, 400, { error: "invalid_grant" });
      provider.exchanged.push(form.code);
      json(answer, 200, { access_token: randomBytes(16).toString("hex"), token_type: "Bearer", expires_in: 300, id_token: idToken(code) });
    },
  };
  const http = createServer((request, answer) => {
    const url = new URL(request.url, provider.url);
    const route = routes[`${request.method} ${url.pathname}`];
    if (route === undefined) return json(answer, 404, {});
    void route(url, answer, request);
  });
  await new Promise((done) => http.listen(0, "127.0.0.1", done));
  provider.url = `http://127.0.0.1:${http.address().port}`;
  return provider;
}
