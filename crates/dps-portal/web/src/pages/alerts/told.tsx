// Which action groups a rule tells.
import type { JSX } from "preact";
import type { ActionGroup } from "../../api/insights";
import { Check } from "../../parts/form";
import { link } from "../../shell/route";

export function Told({ groups, value, onChange }: { groups: readonly ActionGroup[]; value: string[]; onChange: (next: string[]) => void }): JSX.Element {
  const has = (id: string): boolean => value.some((v) => v.toLowerCase() === id.toLowerCase());
  return (
    <fieldset class="stack tight">
      <legend>Tell</legend>
      {groups.length === 0 ? (
        <p class="muted small">
          There is no <a href={link("alerts", ["groups"])}>action group</a> yet; the alert is shown here.
        </p>
      ) : (
        groups.map((g) => <Check key={g.id} label={<bdi>{g.name}</bdi>} value={has(g.id)} onChange={(on) => onChange(on ? [...value, g.id] : value.filter((v) => v.toLowerCase() !== g.id.toLowerCase()))} />)
      )}
    </fieldset>
  );
}
