// Letting an unknown device in: an enrollment of what it showed, or a group of its issuer.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { inboxAction, type InboxItem } from "../../api/diagnosis";
import { mechanism, type Attestation } from "../../api/enrollments";
import { Note } from "../../parts/basics";
import { ActionDialog } from "../../parts/dialog";
import { Check, SelectField, TextField } from "../../parts/form";
import { toast } from "../../parts/toast";
import { judgeId } from "../enrollments/draft";
import { Keys } from "../enrollments/form";
import { groupName } from "../mend/doing";
import { titleOf } from "./words";

export function Accept({ of, device, onClose, onDone }: { of: InboxItem; device?: string; onClose: () => void; onDone: () => void }): JSX.Element {
  const accepts = of.accepts ?? { individualEnrollment: true, enrollmentGroup: false };
  const [whole, setWhole] = useState(accepts.enrollmentGroup && (!accepts.individualEnrollment || (of.devices ?? []).length > 1));
  const devices = of.devices ?? [];
  const wanted = devices.find((d) => d.registrationId.toLowerCase() === device?.toLowerCase());
  const [id, setId] = useState((wanted ?? devices[devices.length - 1])?.registrationId ?? "");
  const [name, setName] = useState(groupName(of.about?.issuer ?? ""));
  const [keys, setKeys] = useState<Attestation | null>(null);
  const byKey = of.kind === "symmetricKey" || of.kind === "noEvidence";
  const nothing = whole ? !accepts.enrollmentGroup : of.kind === "idScope" || (!accepts.individualEnrollment && devices.length < 2);
  const own = of.about?.registrationId ?? id;

  if (keys !== null) return <Keys of={keys} id={own} group={false} onClose={onClose} />;
  return (
    <ActionDialog
      title={`Accept ${titleOf(of)}?`}
      action="Accept"
      disabled={nothing || (whole && name !== "" && judgeId(name) !== null)}
      onClose={onClose}
      run={async () => {
        await inboxAction(of.id, "accept", whole ? { as: "enrollmentGroup", ...(name === "" ? {} : { id: name }) } : devices.length > 1 ? { id } : {});
        toast("It is enrolled. The device is let in when it comes again.");
        onDone();
        if (!byKey) return;
        setKeys(await mechanism("enrollments", own));
        throw new Error("shown");
      }}
      onError={(error) => error.message === "shown"}
    >
      <p>{byKey ? "An enrollment is made, and keys with it: the next step shows them, for the device has to be given one." : "An enrollment is made from what the device showed. It is let in the next time that it asks."}</p>
      {of.kind === "issuer" && (
        <Check
          label="Accept every device of this issuer"
          value={whole}
          onChange={setWhole}
          disabled={!accepts.enrollmentGroup}
          hint={accepts.enrollmentGroup ? "Makes an enrollment group of the issuing CA." : "No device sent the issuing CA's certificate with its own. Upload it, or let a device send its chain."}
        />
      )}
      {whole && <TextField label="Name of the group" value={name} onInput={(id) => setName(id.trim())} mono error={name === "" ? null : judgeId(name)} />}
      {!whole && devices.length > 1 && <SelectField label="Device" value={id} of={devices.map((d) => [d.registrationId, d.registrationId] as const)} onChange={setId} />}
      {nothing && <Note tone="warn">{of.kind === "idScope" ? "No provisioning service here has this ID scope. Give the device the right one." : "What it showed is not enough for an enrollment."}</Note>}
      <Note>Accept only a device that you know: what it showed says who it is, not that it is yours.</Note>
    </ActionDialog>
  );
}
