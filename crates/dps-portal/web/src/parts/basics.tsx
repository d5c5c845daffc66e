// Buttons, cards, notes, states: the small parts that every page uses.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { ApiError } from "../api/client";
import { toast } from "./toast";
import { Icon, type IconName } from "./icon";

export interface ButtonProps {
  children?: ComponentChildren;
  icon?: IconName;
  /** What it does, where the picture stands alone or the words are not enough. */
  label?: string;
  kind?: "plain" | "primary" | "danger" | "danger primary" | "quiet";
  small?: boolean;
  busy?: boolean;
  disabled?: boolean;
  /** Why it is disabled, or more about it. */
  title?: string;
  type?: "button" | "submit";
  form?: string;
  onClick?: () => void;
}

export function Button(p: ButtonProps): JSX.Element {
  const bare = p.children === undefined;
  const classes = ["button", p.kind === undefined || p.kind === "plain" ? "" : p.kind, p.small === true ? "small" : "", bare ? "icon" : ""];
  return (
    <button
      type={p.type ?? "button"}
      class={classes.filter((c) => c !== "").join(" ")}
      aria-label={p.label}
      title={p.title ?? (bare ? p.label : undefined)}
      disabled={p.disabled === true || p.busy === true}
      form={p.form}
      onClick={p.onClick}
    >
      {p.icon !== undefined && <Icon name={p.icon} />}
      {p.children}
      {p.busy === true && <span aria-hidden="true">…</span>}
    </button>
  );
}

/** Leads somewhere; with `barred` it says why it does not. */
export function LinkButton(p: { href: string; children: ComponentChildren; icon?: IconName; primary?: boolean; small?: boolean; barred?: string | null }): JSX.Element {
  if (typeof p.barred === "string") {
    return (
      <Button disabled title={p.barred} kind={p.primary === true ? "primary" : "plain"} small={p.small === true} {...(p.icon === undefined ? {} : { icon: p.icon })}>
        {p.children}
      </Button>
    );
  }
  return (
    <a class={`button${p.primary === true ? " primary" : ""}${p.small === true ? " small" : ""}`} href={p.href}>
      {p.icon !== undefined && <Icon name={p.icon} />}
      {p.children}
    </a>
  );
}

export function Page(p: { title: string; about?: ComponentChildren; actions?: ComponentChildren; children: ComponentChildren; loading?: boolean }): JSX.Element {
  useEffect(() => {
    document.title = `${p.title} · Muster`;
  }, [p.title]);
  return (
    <div class="page">
      <header>
        <h1 class="wrap">{p.title}</h1>
        {p.actions !== undefined && <div class="actions">{p.actions}</div>}
        {p.about !== undefined && <p>{p.about}</p>}
      </header>
      {p.children}
    </div>
  );
}

export function Card(p: { title?: string; actions?: ComponentChildren; about?: string; children: ComponentChildren; span?: number; flush?: boolean; busy?: boolean }): JSX.Element {
  const id = useId();
  return (
    <section class={`card${p.span === undefined ? "" : ` s${p.span}`}`} aria-labelledby={p.title === undefined ? undefined : id}>
      {p.title !== undefined && (
        <header>
          <h2 id={id}>{p.title}</h2>
          {p.about !== undefined && <span class="muted small">{p.about}</span>}
          {p.actions !== undefined && <div class="actions">{p.actions}</div>}
        </header>
      )}
      <div class={`bar${p.busy === true ? " on" : ""}`} />
      {p.flush === true ? p.children : <div class="body">{p.children}</div>}
    </section>
  );
}

export type Tone = "ok" | "bad" | "warn" | "accent" | "plain";

export function Tag({ tone = "plain", children, dot = true }: { tone?: Tone; children: ComponentChildren; dot?: boolean }): JSX.Element {
  return <span class={`tag ${tone}${dot ? "" : " plain"}`}>{children}</span>;
}

export function Note({ tone = "plain", children, actions }: { tone?: Tone; children: ComponentChildren; actions?: ComponentChildren }): JSX.Element {
  const icon: IconName = tone === "bad" ? "bad" : tone === "warn" ? "warn" : tone === "ok" ? "check" : "info";
  return (
    <div class={`note ${tone}`} role={tone === "bad" ? "alert" : undefined}>
      <Icon name={icon} />
      <div class="grow">{children}</div>
      {actions}
    </div>
  );
}

export function Failure({ error, retry }: { error: ApiError; retry?: () => void }): JSX.Element {
  return (
    <Note tone="bad" actions={retry !== undefined && <Button small icon="refresh" onClick={retry}>Try again</Button>}>
      {error.message}
      {error.trackingId !== null && (
        <div class="small muted">
          Tracking id <span class="id">{error.trackingId}</span>
        </div>
      )}
    </Note>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <strong>{title}</strong>
      {children}
    </div>
  );
}

export function Waiting({ lines = 3 }: { lines?: number }): JSX.Element {
  return (
    <div class="stack" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, i) => (
        <div key={i} class={`skeleton${i % 2 === 1 ? " half" : ""}`} />
      ))}
    </div>
  );
}

export function Copy({ text, label = "Copy", small = true }: { text: string; label?: string; small?: boolean }): JSX.Element {
  const [done, setDone] = useState(false);
  const timer = useRef(0);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      clearTimeout(timer.current);
      timer.current = window.setTimeout(() => setDone(false), 1500);
    } catch {
      toast("The browser does not let this page copy. Select the text instead.", "bad");
    }
  };
  return <Button small={small} kind="quiet" icon={done ? "check" : "copy"} label={done ? "Copied" : label} onClick={() => void copy()} />;
}

/** A command or a document that is to be pasted somewhere. */
export function CodeBox({ text, label }: { text: string; label?: string }): JSX.Element {
  return (
    <div class="codebox">
      <pre tabIndex={0} aria-label={label}>{text}</pre>
      <Copy text={text} label={`Copy ${label ?? "this"}`} />
    </div>
  );
}

export function Facts({ of }: { of: readonly (readonly [string, ComponentChildren])[] }): JSX.Element {
  return (
    <dl class="facts">
      {of.map(([name, value]) => (
        <>
          <dt>{name}</dt>
          <dd>{value === "" || value === null || value === undefined ? <span class="muted">–</span> : value}</dd>
        </>
      ))}
    </dl>
  );
}

export function Id({ children }: { children: string }): JSX.Element {
  return <bdi class="id">{children}</bdi>;
}

export function Segments<T extends string>(p: { value: T; of: readonly (readonly [T, string])[]; label: string; onChange: (value: T) => void }): JSX.Element {
  return (
    <div class="segments" role="group" aria-label={p.label}>
      {p.of.map(([value, words]) => (
        <button type="button" key={value} aria-pressed={p.value === value} onClick={() => p.onChange(value)}>
          {words}
        </button>
      ))}
    </div>
  );
}

/** Tabs with the arrow keys of the pattern; the panel is the caller's, inside. */
export function Tabs<T extends string>(p: { value: T; of: readonly (readonly [T, string])[]; label: string; onChange: (value: T) => void; children: ComponentChildren }): JSX.Element {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const move = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const at = p.of.findIndex(([v]) => v === p.value);
    const next = p.of[(at + step + p.of.length) % p.of.length];
    if (next === undefined) return;
    p.onChange(next[0]);
    list.current?.querySelectorAll("button")[(at + step + p.of.length) % p.of.length]?.focus();
  };
  return (
    <>
      <div class="tabs" role="tablist" aria-label={p.label} ref={list} onKeyDown={move}>
        {p.of.map(([value, words]) => (
          <button
            type="button"
            key={value}
            role="tab"
            id={`${id}-${value}`}
            aria-selected={p.value === value}
            aria-controls={`${id}-panel`}
            tabIndex={p.value === value ? 0 : -1}
            onClick={() => p.onChange(value)}
          >
            {words}
          </button>
        ))}
      </div>
      <div class="stack" role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${p.value}`}>
        {p.children}
      </div>
    </>
  );
}
