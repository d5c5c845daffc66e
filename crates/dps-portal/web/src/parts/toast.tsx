// Short news at the corner: what was done, or what went wrong elsewhere than in a form.
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { Icon } from "./icon";

interface News {
  id: number;
  text: string;
  tone: "ok" | "bad";
}

const SHOWN_MS = 6000;
const MOST = 4;
const news = signal<News[]>([]);
let next = 0;

export function toast(text: string, tone: "ok" | "bad" = "ok"): void {
  const id = next++;
  news.value = [...news.value.slice(1 - MOST), { id, text, tone }];
  window.setTimeout(() => dismiss(id), SHOWN_MS);
}

function dismiss(id: number): void {
  news.value = news.value.filter((n) => n.id !== id);
}

/** What was said to somebody is not for who signs in next. */
export function dismissAll(): void {
  news.value = [];
}

export function Toasts(): JSX.Element {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {news.value.map((n) => (
        <div class={`toast ${n.tone}`} key={n.id}>
          <div class="grow wrap">{n.text}</div>
          <button type="button" class="button quiet icon small" aria-label="Dismiss" onClick={() => dismiss(n.id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
