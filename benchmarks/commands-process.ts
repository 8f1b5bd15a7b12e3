/** A process of the benchmark `commands`: calls or answers, as one of those that are compared. */
import { answerParent, programInput, reportToParent } from "./child-process.js";
import { CONTESTANTS } from "./commands-contestants.js";
import { drive, type Load } from "./commands-load.js";

const { servers, variant, calls } = programInput() as {
  readonly servers: string;
  readonly variant: string;
  readonly calls: boolean;
};

const contestant = CONTESTANTS.get(variant);
if (contestant === undefined) throw new Error(`nobody is called ${variant}`);
if (calls) {
  const call = await contestant.caller(servers);
  answerParent((question) => {
    const { load, operations } = question as { readonly load: Load; readonly operations: number | null };
    return drive(call, load, operations);
  });
} else {
  await contestant.answer(servers);
}
reportToParent({ ready: true });
