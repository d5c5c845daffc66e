// Form fields: a label, a hint, what is wrong as one types.
import type { ComponentChildren, JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { Button } from "./basics";

interface Common {
  label: string;
  hint?: ComponentChildren;
  error?: string | null;
  wide?: boolean;
  disabled?: boolean;
}

export function Field(p: Common & { children: (ids: { id: string; "aria-describedby"?: string; "aria-invalid"?: boolean }) => ComponentChildren }): JSX.Element {
  const id = useId();
  const wrong = p.error !== undefined && p.error !== null && p.error !== "";
  const about = [p.hint === undefined ? "" : `${id}-hint`, wrong ? `${id}-error` : ""].filter((s) => s !== "").join(" ");
  return (
    <div class={`field${p.wide === true ? " wide" : ""}`}>
      <label for={id}>{p.label}</label>
      {p.children({ id, ...(about === "" ? {} : { "aria-describedby": about }), ...(wrong ? { "aria-invalid": true } : {}) })}
      {p.hint !== undefined && (
        <div class="hint" id={`${id}-hint`}>
          {p.hint}
        </div>
      )}
      {wrong && (
        <div class="error" id={`${id}-error`} role="alert">
          {p.error}
        </div>
      )}
    </div>
  );
}

export function TextField(
  p: Common & {
    value: string;
    onInput: (value: string) => void;
    type?: "text" | "number" | "password" | "search" | "datetime-local";
    placeholder?: string;
    required?: boolean;
    mono?: boolean;
    list?: readonly string[];
    autocomplete?: string;
  },
): JSX.Element {
  // What is empty is wrong only once somebody was there.
  const [left, setLeft] = useState(false);
  const options = useId();
  const shown = p.value === "" && !left ? null : p.error;
  return (
    <Field label={p.label} hint={p.hint} error={shown ?? null} wide={p.wide === true}>
      {(ids) => (
        <>
          <input
            {...ids}
            class={`input${p.mono === true ? " mono" : ""}`}
            {...({ type: p.type ?? "text", step: p.type === "number" ? "any" : undefined } as { type: "text" })}
            value={p.value}
            placeholder={p.placeholder}
            required={p.required}
            disabled={p.disabled}
            autocomplete={p.autocomplete ?? "off"}
            spellcheck={false}
            autocapitalize="none"
            list={p.list === undefined ? undefined : options}
            onInput={(event) => p.onInput(event.currentTarget.value)}
            onBlur={() => setLeft(true)}
          />
          {p.list !== undefined && (
            <datalist id={options}>
              {p.list.map((value) => (
                <option key={value} value={value} />
              ))}
            </datalist>
          )}
        </>
      )}
    </Field>
  );
}

/** A secret: hidden until it is asked to be shown. `pasted` picks it out of a text of several lines, which an input would join. */
export function SecretField(p: Common & { value: string; onInput: (value: string) => void; pasted: (text: string) => string }): JSX.Element {
  const [shown, setShown] = useState(false);
  const [left, setLeft] = useState(false);
  const paste = (event: ClipboardEvent): void => {
    const text = event.clipboardData?.getData("text") ?? "";
    const secret = p.pasted(text);
    if (secret === text) return;
    event.preventDefault();
    p.onInput(secret);
  };
  return (
    <Field label={p.label} hint={p.hint} error={p.value === "" && !left ? null : (p.error ?? null)} wide={p.wide === true}>
      {(ids) => (
        <div class="row">
          <input
            {...ids}
            class="input mono grow"
            {...({ type: shown ? "text" : "password" } as { type: "text" })}
            value={p.value}
            autocomplete="new-password"
            spellcheck={false}
            autocapitalize="none"
            onInput={(event) => p.onInput(event.currentTarget.value)}
            onPaste={paste}
            onBlur={() => setLeft(true)}
          />
          <Button small onClick={() => setShown(!shown)}>
            {shown ? "Hide" : "Show"}
          </Button>
        </div>
      )}
    </Field>
  );
}

export function AreaField(p: Common & { value: string; onInput: (value: string) => void; rows?: number; placeholder?: string; mono?: boolean; onDropFile?: boolean }): JSX.Element {
  const read = async (event: DragEvent): Promise<void> => {
    const file = event.dataTransfer?.files[0];
    if (file === undefined || p.onDropFile !== true) return;
    event.preventDefault();
    if (file.size < 512 * 1024) p.onInput(await readFile(file));
  };
  return (
    <Field label={p.label} hint={p.hint} error={p.error ?? null} wide={p.wide === true}>
      {(ids) => (
        <textarea
          {...ids}
          class={`input${p.mono === false ? "" : " mono"}`}
          rows={p.rows ?? 5}
          value={p.value}
          placeholder={p.placeholder}
          spellcheck={false}
          disabled={p.disabled}
          onInput={(event) => p.onInput(event.currentTarget.value)}
          onDrop={(event) => void read(event)}
        />
      )}
    </Field>
  );
}

/** A text as it is, a DER file as base64. */
export async function readFile(file: File): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (bytes[0] !== 0x30) return new TextDecoder().decode(bytes);
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

export function FileButton({ onText, label = "Choose a file" }: { onText: (text: string, name: string) => void; label?: string }): JSX.Element {
  const id = useId();
  const take = async (input: HTMLInputElement): Promise<void> => {
    const file = input.files?.[0];
    if (file !== undefined && file.size < 512 * 1024) onText(await readFile(file), file.name);
    input.value = "";
  };
  return (
    <span>
      <input id={id} class="sr" type="file" onChange={(event) => void take(event.currentTarget)} />
      <label class="button small" for={id}>
        {label}
      </label>
    </span>
  );
}

export function SelectField<T extends string>(p: Common & { value: T; of: readonly (readonly [T, string])[]; onChange: (value: T) => void }): JSX.Element {
  return (
    <Field label={p.label} hint={p.hint} error={p.error ?? null} wide={p.wide === true}>
      {(ids) => (
        <select {...ids} class="input" value={p.value} disabled={p.disabled} onChange={(event) => p.onChange(event.currentTarget.value as T)}>
          {p.of.map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** A choice without a visible label, in a tool bar. */
export function Pick<T extends string>(p: { label: string; value: T; of: readonly (readonly [T, string])[]; onChange: (value: T) => void }): JSX.Element {
  return (
    <select class="input" aria-label={p.label} title={p.label} value={p.value} onChange={(event) => p.onChange(event.currentTarget.value as T)}>
      {p.of.map(([value, words]) => (
        <option key={value} value={value}>
          {words}
        </option>
      ))}
    </select>
  );
}

export function Check(p: { label: ComponentChildren; value: boolean; onChange: (value: boolean) => void; disabled?: boolean; hint?: string }): JSX.Element {
  const id = useId();
  return (
    <div class="check">
      <input id={id} type="checkbox" checked={p.value} disabled={p.disabled} onChange={(event) => p.onChange(event.currentTarget.checked)} />
      <div>
        <label for={id}>{p.label}</label>
        {p.hint !== undefined && <div class="muted small">{p.hint}</div>}
      </div>
    </div>
  );
}
