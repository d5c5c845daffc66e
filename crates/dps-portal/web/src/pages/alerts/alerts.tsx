// Alerts: what has fired, the rules that watch, and who is told.
import type { JSX } from "preact";
import { Page, Tabs } from "../../parts/basics";
import { go, route } from "../../shell/route";
import { Fired } from "./fired";
import { Groups } from "./groups";
import { Rules } from "./rules";
import { Builtins } from "./builtins";

type Part = "fired" | "rules" | "groups" | "builtin";
const PARTS = [
  ["fired", "Alerts"],
  ["rules", "Rules"],
  ["groups", "Action groups"],
  ["builtin", "Built-in rules"],
] as const;

export function Alerts(): JSX.Element {
  const asked = route.value.parts[0] ?? "fired";
  const part: Part = asked === "groups" || asked === "rules" || asked === "builtin" ? asked : asked.startsWith("new-") ? "rules" : "fired";
  return (
    <Page title="Alerts" about="A rule watches a metric or asks a query, and fires when a threshold is passed; an action group says who is told.">
      <Tabs label="Alerts" value={part} of={PARTS} onChange={(value) => go("alerts", [value])}>
        {part === "fired" ? <Fired /> : part === "rules" ? <Rules /> : part === "groups" ? <Groups /> : <Builtins />}
      </Tabs>
    </Page>
  );
}
