/** All rules that the journals of a run must satisfy. They are those of the simulator, read from real processes. */
import { checkBudgets } from "./check-budgets.js";
import { checkCalls } from "./check-calls.js";
import { checkEnds } from "./check-ends.js";
import { checkEpochs } from "./check-epochs.js";
import { checkOwned } from "./check-owned.js";
import type { History, Violation } from "./history.js";

export function checkHistory(history: History): readonly Violation[] {
  return [
    ...checkCalls(history),
    ...checkEpochs(history),
    ...checkEnds(history),
    ...checkOwned(history),
    ...checkBudgets(history),
  ];
}
