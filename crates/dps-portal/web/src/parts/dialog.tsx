// Dialogs: the browser's own, which keeps the focus inside and closes with Escape.
import type { ComponentChildren, JSX } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { asApiError } from "../api/load";
import type { ApiError } from "../api/client";
import { Button, Failure } from "./basics";

export function Dialog(p: { title: string; onClose: () => void; children: ComponentChildren; footer?: ComponentChildren; wide?: boolean }): JSX.Element {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const dialog = box.current;
    if (dialog === null) return;
    const before = document.activeElement;
    dialog.showModal();
    dialog.querySelector<HTMLElement>("[data-first], .body input:not([type=hidden]), .body textarea, .body select")?.focus();
    return () => {
      dialog.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={box}
      class={p.wide === true ? "wide" : ""}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        p.onClose();
      }}
      onClick={(event) => {
        if (event.target === box.current) p.onClose();
      }}
    >
      <header>
        <h2 id={id}>{p.title}</h2>
        <Button kind="quiet" icon="close" label="Close" onClick={p.onClose} />
      </header>
      <div class="body">{p.children}</div>
      {p.footer !== undefined && <footer>{p.footer}</footer>}
    </dialog>
  );
}

/** A dialog that does one thing, shows that it is at it, and stays open with what went wrong. */
export function ActionDialog(p: {
  title: string;
  action: string;
  danger?: boolean;
  wide?: boolean;
  disabled?: boolean;
  onClose: () => void;
  run: () => Promise<void>;
  children: ComponentChildren;
  onError?: (error: ApiError) => boolean;
}): JSX.Element {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const form = useId();
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy || p.disabled === true) return;
    setBusy(true);
    setError(null);
    try {
      await p.run();
      p.onClose();
    } catch (failed) {
      const known = asApiError(failed);
      if (p.onError?.(known) !== true) setError(known);
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={p.title}
      wide={p.wide === true}
      onClose={p.onClose}
      footer={
        <>
          <Button onClick={p.onClose}>Cancel</Button>
          <Button type="submit" form={form} kind={p.danger === true ? "danger primary" : "primary"} busy={busy} disabled={p.disabled === true}>
            {p.action}
          </Button>
        </>
      }
    >
      <form id={form} class="stack" onSubmit={(event) => void submit(event)} noValidate>
        {p.children}
        {error !== null && <Failure error={error} />}
      </form>
    </Dialog>
  );
}
