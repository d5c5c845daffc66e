// TPMs: a board that was exchanged.
import { story } from "../harness/mend.mjs";
import { installed, startTpm } from "../harness/tpm.mjs";

const REQUIRED = process.env.MUSTER_REQUIRE_SWTPM !== undefined;

const changed = story("a TPM that is another one: its endorsement key is accepted", { shots: "mend-tpm-changed" }, async (told) => {
  const { server } = told;
  const [old, board] = await Promise.all([startTpm(), startTpm()]);
  try {
    const known = JSON.parse(await server.muster("device", "tpm", "--tpm", old.tcti, "--json"));
    await server.muster("enrollment", "create", "--registration-id", "gateway-1", "--attestation-type", "tpm", "--endorsement-key", known.endorsementKey);
    const device = ["--registration-id", "gateway-1", "--tpm", board.tcti];
    await told.refused(...device);
    await told.follow("gateway-1", "The device has another endorsement key than the enrolled one");
    await told.press("Accept the new endorsement key");
    await told.inDialog("Accept it");
    await told.wouldBeLetIn();
    await told.letIn(...device);
  } finally {
    old.stop();
    board.stop();
  }
});

export default installed() || REQUIRED ? [changed] : [];
