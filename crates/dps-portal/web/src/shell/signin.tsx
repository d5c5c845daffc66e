// Signing in: by a connection string, by a token, or with an identity provider. What is typed is sent once and forgotten.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { asApiError } from "../api/load";
import { farewell, providers, signIn } from "../api/session";
import { Button, Failure, Note } from "../parts/basics";
import { Field } from "../parts/form";
import { dismissAll } from "../parts/toast";
import { ThemeButton } from "./portal";

export function SignIn(): JSX.Element {
  const [secret, setSecret] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(() => {
    document.title = "Sign in · Muster";
    field.current?.focus();
    dismissAll();
  }, []);

  const wrong = judge(secret);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (secret.trim() === "" || busy) return;
    setBusy(true);
    setError(null);
    try {
      const text = secret.trim();
      await signIn(/sharedaccesskey\s*=/i.test(text) ? { connectionString: text } : { token: text });
    } catch (failed) {
      const known = asApiError(failed);
      setError(known.status === 401 ? new ApiError("The server does not accept this. Is it the connection string of this server, and complete?", 401, known.code, known.trackingId, null) : known);
    }
    setSecret("");
    setBusy(false);
  };

  return (
    <div class="signin">
      <main>
        <div class="logo">
          <img src="./muster.svg" alt="" />
          <div class="grow">
            <h1>Muster</h1>
            <div class="muted">Device Provisioning Service</div>
          </div>
          <ThemeButton />
        </div>
        {farewell.value !== null && error === null && <Note>{farewell.value}</Note>}
        {error !== null && <Failure error={error} />}
        {providers.value.map((p) => (
          <a class="button primary" href={p.url} key={p.url}>
            Sign in with {p.name}
          </a>
        ))}
        <form onSubmit={(event) => void submit(event)}>
          <Field
            label="Connection string or token"
            error={wrong}
            hint={
              <>
                That of an access policy, as <code>HostName=…;SharedAccessKeyName=…;SharedAccessKey=…</code>. With <code>muster dev</code> it stands in <code>dev.env</code>.
              </>
            }
          >
            {(ids) => <input {...ids} ref={field} class="input mono" type="password" name="secret" autocomplete="off" value={secret} onInput={(event) => setSecret(event.currentTarget.value)} />}
          </Field>
          <Button type="submit" kind={providers.value.length > 0 ? "plain" : "primary"} busy={busy} disabled={secret.trim() === "" || wrong !== null}>
            Sign in
          </Button>
        </form>
      </main>
    </div>
  );
}

function judge(secret: string): string | null {
  const text = secret.trim();
  if (!/^(hostname|sharedaccesskey)/i.test(text)) return null;
  for (const [name, words] of [["HostName", "HostName="], ["SharedAccessKeyName", "SharedAccessKeyName="], ["SharedAccessKey", "SharedAccessKey="]] as const) {
    if (!new RegExp(`(^|;)\\s*${name}\\s*=`, "i").test(text)) return `The connection string lacks ${words}…`;
  }
  return null;
}
