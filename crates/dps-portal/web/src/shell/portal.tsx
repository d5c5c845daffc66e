// The frame: top bar, navigation, the page of the address, and the sign-in page in front of it all.
import { useSignal } from "@preact/signals";
import type { FunctionComponent, JSX } from "preact";
import { useEffect, useErrorBoundary, useRef } from "preact/hooks";
import { choose, instance, session, signOut } from "../api/session";
import { Button, Failure, Note, Page, Waiting } from "../parts/basics";
import { Icon, type IconName } from "../parts/icon";
import { Toasts } from "../parts/toast";
import { asApiError } from "../api/load";
import { LONGEST, trackingIn } from "../text/tracking";
import { go, link, route } from "./route";
import { nextTheme, theme } from "./theme";
import { SignIn } from "./signin";
import { pages, type Place } from "./places";

export function Portal(): JSX.Element {
  const who = session.value;
  return (
    <>
      {who === undefined ? (
        <div class="signin">
          <main>
            <Waiting />
          </main>
        </div>
      ) : who === null ? (
        <SignIn />
      ) : (
        <Frame />
      )}
      <Toasts />
    </>
  );
}

function Frame(): JSX.Element {
  const open = useSignal(false);
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  const address = `${route.value.page}/${route.value.parts.join("/")}`;

  useEffect(() => {
    open.value = false;
    if (first.current) first.current = false;
    else main.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [address]);

  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      const into = event.composedPath()[0];
      const typing = into instanceof HTMLElement && (into.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(into.tagName));
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && document.querySelector("dialog[open]") === null) {
        event.preventDefault();
        document.getElementById("find")?.focus();
      }
      if (event.key === "Escape" && open.value) open.value = false;
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);

  const place = offered().find((p) => p.page === route.value.page);
  return (
    <div class="shell">
      <a
        class="skip"
        href={location.hash}
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to the page
      </a>
      <header class="top">
        <span class="menu">
          <Button kind="quiet" icon="menu" label={open.value ? "Close navigation" : "Open navigation"} onClick={() => (open.value = !open.value)} />
        </span>
        <a class="brand" href={link("overview")} aria-label="Muster, overview">
          <img src="./muster.svg" alt="" />
          <span>Muster</span>
        </a>
        <Find />
        <Switch />
        <ThemeButton />
        <span class="who muted small" title={session.value?.name}>
          {session.value?.name}
        </span>
        <Button kind="quiet" icon="out" label="Sign out" onClick={() => void signOut()} />
      </header>
      <Navigation open={open.value} current={route.value.page} />
      {open.value && <button type="button" class="veil" aria-label="Close navigation" onClick={() => (open.value = false)} />}
      <main ref={main} tabIndex={-1} id="main">
        {place === undefined ? (
          <Page title="No such page">
            <Note>There is no page at this address.</Note>
          </Page>
        ) : (
          <Guard of={place.show} key={`${address}@${instance.value?.resourceId ?? ""}`} />
        )}
      </main>
    </div>
  );
}

/** The pages that this server has something for. */
function offered(): readonly Place[] {
  return pages.filter((p) => p.devOnly !== true || session.value?.mode === "dev");
}

function Guard({ of: Show }: { of: FunctionComponent }): JSX.Element {
  const [failed, again] = useErrorBoundary();
  if (failed !== undefined) {
    return (
      <Page title="This page failed">
        <Failure error={asApiError(failed)} retry={again} />
      </Page>
    );
  }
  return <Show />;
}

function Navigation({ open, current }: { open: boolean; current: string }): JSX.Element {
  const shown = offered().filter((p): p is Place & { nav: string; icon: IconName } => p.nav !== undefined && p.icon !== undefined);
  const sections = [...new Set(shown.map((p) => p.section))];
  return (
    <nav class={open ? "nav open" : "nav"} aria-label="Pages">
      {sections.map((section) => (
        <div key={section}>
          <h2 id={`nav-${section}`}>{section}</h2>
          <ul class="plain" aria-labelledby={`nav-${section}`}>
            {shown
              .filter((p) => p.section === section)
              .map((p) => (
                <li key={p.page}>
                  <a href={link(p.page)} aria-current={p.page === current || p.under?.includes(current) === true ? "page" : undefined}>
                    <Icon name={p.icon} />
                    {p.nav}
                  </a>
                </li>
              ))}
          </ul>
        </div>
      ))}
    </nav>
  );
}

function Find(): JSX.Element {
  const search = (event: SubmitEvent): void => {
    event.preventDefault();
    const input = (event.currentTarget as HTMLFormElement).elements.namedItem("find");
    if (!(input instanceof HTMLInputElement)) return;
    const text = input.value.trim();
    if (text === "") return;
    input.value = "";
    input.blur();
    const tracking = trackingIn(text);
    if (tracking !== null) go("diagnose", [], { tracking });
    else go("device", [text.slice(0, 200)]);
  };
  return (
    <form class="find" role="search" onSubmit={search}>
      <Icon name="search" />
      <input id="find" name="find" type="search" placeholder="Find a device or a tracking id" aria-label="Find a device by registration id or tracking id" autocomplete="off" spellcheck={false} maxLength={LONGEST} />
      <kbd aria-hidden="true">/</kbd>
    </form>
  );
}

function Switch(): JSX.Element | null {
  const all = session.value?.instances ?? [];
  if (all.length === 0) return null;
  if (all.length === 1) return <span class="tag plain accent">{all[0]?.name}</span>;
  return (
    <select class="input switch" aria-label="Provisioning service" value={instance.value?.resourceId} onChange={(event) => choose(event.currentTarget.value)}>
      {all.map((i) => (
        <option key={i.resourceId} value={i.resourceId}>
          {i.name}
        </option>
      ))}
    </select>
  );
}

export function ThemeButton(): JSX.Element {
  const now = theme.value;
  return <Button kind="quiet" icon={now === "light" ? "sun" : now === "dark" ? "moon" : "system"} label={`Theme: ${now === "system" ? "as the system" : now}`} onClick={nextTheme} />;
}
