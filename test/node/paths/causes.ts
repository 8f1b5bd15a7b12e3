/**
 * What makes each event of the model happen at a real node: nothing here talks to its machine.
 *
 * Some events cannot come alone. A session that opens at a DISCONNECTED node *is* the request to coordinate; after a
 * failure a node asks for one only when its retry is due or `recover()` is called; the parent must be out of reach while
 * the node is to stay DISCONNECTED, since it would answer at once. And some have no cause at all in some states: a timer
 * that does not run cannot expire, a cleanup ends only where one is under way, a session opens only if the parent can be
 * reached. The model must ignore such an event; `drive` checks that.
 */
import type { Family } from "./family.js";
import { CENSUSES, type Census, CHILD_IDS, type ChildId, type ChildMode, type ModelStep } from "./model.js";

/** Brings the event about; whether it did is checked afterwards. */
export type Cause = (family: Family) => Promise<void> | void;

/** The cause of a step, or null where a real node cannot meet the event. */
export function causeOf(step: ModelStep): Cause | null {
  const { name, before } = step;
  const { value: state, context } = before;
  if (Object.hasOwn(CENSUSES, name)) return changeChildren(CENSUSES[name as keyof typeof CENSUSES], state);
  switch (name) {
    case "requested":
      return state === "DISCONNECTED" ? openSession(context.retryInMs !== null) : whileReached(step, restartParent);
    case "uplinkOpened":
      if (state === "DISCONNECTED") return null;
      return context.uplinkOpen ? restartParent : (family) => family.regainParent();
    case "uplinkLost":
      return isLostAlready(step) ? (family) => family.cut({ parent: true }) : (family) => family.loseParent();
    case "fault":
      return ({ node }) => node.fail("disk full");
    case "recovery":
      return ({ node }) => node.recover();
    case "cleanedUp":
      return state === "FAILED" ? (family) => family.release() : null;
    case "shutdown":
      return (family) => shutDown(family, context.uplinkOpen);
    default:
      return TIMER_STATES[name] === state && (name !== "retryDelay" || context.retryInMs !== null) ? () => {} : null;
  }
}

/** Where each timer runs; time passes until its transition was taken. */
const TIMER_STATES: Readonly<Record<string, ModelStep["before"]["value"]>> = {
  initTimeout: "CONNECTING",
  recoveryTimeout: "DEGRADED",
  cleanupTimeout: "FAILED",
  retryDelay: "DISCONNECTED",
};

function whileReached({ before }: ModelStep, cause: Cause): Cause | null {
  return before.context.uplinkOpen ? cause : null;
}

// The parent

/** The parent is reached; no child is, so that none counts from the start. */
function openSession(isWaiting: boolean): Cause {
  return async (family) => {
    family.cut({ children: true });
    // After a cleanup that hung, sessions with children are still open.
    await family.until(() => family.node.children().every(({ link }) => !IS_OPEN.has(link)));
    if (isWaiting) family.node.recover();
    await family.regainParent();
  };
}

const IS_OPEN: ReadonlySet<string> = new Set(["opening", "alive", "suspect"]);

/** Another process of the parent opens another session. */
async function restartParent(family: Family): Promise<void> {
  family.cut({ parent: false });
  await family.replaceParent();
  await family.until(() => IS_OPEN.has(family.parent.child("node")?.link ?? ""));
}

/** A parent that is lost already can at most be lost for good: its session ends too. The machine may be told or not. */
export function isLostAlready({ name, before }: ModelStep): boolean {
  return name === "uplinkLost" && !before.context.uplinkOpen;
}

// The children

function changeChildren(census: Census, state: ModelStep["before"]["value"]): Cause {
  const isSeen = state === "CONNECTING" || state === "SYNCHRONIZED" || state === "DEGRADED";
  return async (family) => {
    family.cut({ children: false });
    // What fails does so in one instant and first: a node that is ready for a moment between would be another path.
    const failing = CHILD_IDS.filter((id) => census[id] === "failed" && !IS_FAILED.has(family.link(id)));
    for (const id of failing) if (!IS_OPEN.has(family.link(id))) await family.place(id, "failed");
    if (isSeen) await family.until(() => failing.every((id) => IS_OPEN.has(family.link(id))));
    for (const id of failing) family.fail(id);
    for (const id of CHILD_IDS) if (census[id] !== "failed") await ensure(family, id, census[id]);
    const isDone = () => CHILD_IDS.every((id) => LINKS[census[id]].has(family.link(id)));
    if (isSeen && isDone()) return family.receiveGuest();
    if (isSeen) await family.until(() => isDone() || family.node.state === "FAILED");
  };
}

const IS_FAILED: ReadonlySet<string> = new Set(["failed", "dead"]);

const LINKS: Readonly<Record<ChildMode, ReadonlySet<string>>> = {
  ready: new Set(["alive"]),
  opening: new Set(["opening"]),
  failed: IS_FAILED,
};

async function ensure(family: Family, id: ChildId, mode: ChildMode): Promise<void> {
  if (!family.runs(id, mode)) await family.place(id, mode);
}

// The end

/** Alternately by the node's own `stop` and by its parent's COORD_SHUTDOWN; then a new process takes the place. */
async function shutDown(family: Family, isReached: boolean): Promise<void> {
  const { node } = family;
  const byParent = isReached && family.takesTurn();
  const options = { timeoutMs: family.timing.patienceMs };
  const over = byParent ? family.parent.shutdownTree(options) : node.stop(options);
  let isOver = false;
  void Promise.all([over, node.ended]).then(() => (isOver = true));
  await family.until(() => isOver);
  await family.replaceNode();
  if (byParent) await family.replaceParent();
}
