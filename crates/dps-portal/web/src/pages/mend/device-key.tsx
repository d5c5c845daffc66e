// The one key that a device needs: its own of an individual enrollment, or the one that is derived from its group's.
import type { JSX } from "preact";
import { rehearse } from "../../api/diagnosis";
import { mechanism, type Kind } from "../../api/enrollments";
import { useLoad } from "../../api/load";
import { instance } from "../../api/session";
import { Button, CodeBox, Note } from "../../parts/basics";
import { Dialog } from "../../parts/dialog";
import { Loading, type DoingProps } from "./doing";

/** HMAC-SHA256 of the registration id, spelt as the device spells it, under the group's key. */
async function derived(groupKey: string, device: string): Promise<string> {
  const bytes = Uint8Array.from(atob(groupKey), (c) => c.charCodeAt(0));
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(device)));
  return btoa(String.fromCharCode(...mac));
}

export function DeviceKey({ kind, id, device, onClose, onDone }: DoingProps & { kind: Kind; id: string }): JSX.Element {
  const group = kind === "enrollmentGroups";
  const found = useLoad(async () => {
    const primary = (await mechanism(kind, id)).symmetricKey?.primaryKey ?? "";
    const key = group ? await derived(primary, device) : primary;
    return { key, told: await rehearse({ registrationId: device, evidence: { symmetricKey: key } }).catch(() => null) };
  }, [kind, id, device]);
  const title = `The key of ${device}`;
  if (found.data === undefined) return <Loading title={title} of={found} onClose={onClose} />;
  const { key, told } = found.data;
  const close = (): void => {
    onDone();
    onClose();
  };
  return (
    <Dialog title={title} onClose={onClose} footer={<Button kind="primary" onClick={close}>Done</Button>}>
      <p>
        {group ? (
          <>
            This key belongs to <bdi class="id">{device}</bdi> alone. It is made from the key of the group <bdi class="id">{id}</bdi>, which never belongs on a device.
          </>
        ) : (
          <>The primary key of the enrollment.</>
        )}{" "}
        Use it on the device as it is: do not derive from it, do not decode it twice.
      </p>
      <div class="field">
        <span class="label">The device's key</span>
        <CodeBox text={key} label="the device's key" />
      </div>
      <div class="field">
        <span class="label">To try it from the device, with the key in a file</span>
        <CodeBox text={tryIt(device)} label="the command" />
      </div>
      {told?.outcome.accepted === true && (
        <Note tone="ok">
          <strong>With this key it would be let in.</strong>
        </Note>
      )}
      {told?.outcome.accepted === false && <Note tone="warn">With this key it would still be refused: {told.causes?.[0]?.sentence ?? told.outcome.summary ?? told.outcome.message}</Note>}
    </Dialog>
  );
}

/** How a device is provisioned from the command line. */
export function tryIt(device: string): string {
  const of = instance.value;
  const word = /^[\w\-.:]+$/.test(device) ? device : `'${device.replace(/'/g, `'\\''`)}'`;
  return `muster device provision --host ${of?.host ?? "HOST"} --id-scope ${of?.idScope ?? "SCOPE"} --registration-id ${word} --key-file device.key`;
}
