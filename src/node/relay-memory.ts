/**
 * What calls that were passed on came to: an answer may be lost with the session that it was sent into. Whoever asked
 * then sends the call again, and it must not run again elsewhere.
 *
 * "unknown" is different: its caller may try the same call anew. Within one session a call is sent once unless it was
 * answered, so who sends it a second time does just that; who sends it in another session may not have heard the answer.
 */
import { copyOutcome, type Outcome } from "./call.js";
import { OutcomeCache } from "./outcome-cache.js";

interface Remembered extends Outcome {
  /** In which it last arrived. */
  session: number | string;
  isSpent: boolean;
}

export class RelayMemory {
  readonly #outcomes: OutcomeCache<Remembered>;

  /** Keeps at most `entriesMax` outcomes and about `bytesMax` bytes of them. */
  constructor(entriesMax: number, bytesMax: number) {
    this.#outcomes = new OutcomeCache<Remembered>(entriesMax, bytesMax);
  }

  /** The outcome of a call that last arrived in this session. One that never started leaves nothing to remember. */
  note(id: string, outcome: Outcome, session: number | string): void {
    if (outcome.status === "notStarted") return;
    const remembered = { ...copyOutcome(outcome), session, isSpent: false };
    const spent = this.#outcomes.get(id);
    if (spent === undefined) this.#outcomes.set(id, remembered);
    else Object.assign(spent, remembered);
  }

  /** What to tell one who sends a call in this session; undefined when the call is to be passed on. */
  recall(id: string, session: number | string): Outcome | undefined {
    const remembered = this.#outcomes.get(id);
    if (remembered === undefined || remembered.isSpent) return undefined;
    remembered.isSpent = remembered.status === "unknown" && remembered.session === session;
    remembered.session = session;
    return remembered.isSpent ? undefined : remembered;
  }
}
