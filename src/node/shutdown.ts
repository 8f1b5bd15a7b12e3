/**
 * Ordered shutdown: children first in reverse order of start, then this node, within one deadline.
 *
 * S1. The deadline is absolute for whoever started it; each level below gets what is left, less a reserve for its answer.
 * S2. Joined children, which have no order, go first and together; listed ones follow one by one in reverse order. Who
 *     takes more than its share of the time is no longer waited for before the next is asked: a hung child must not
 *     keep its siblings from being shut down.
 * S3. It ends by its deadline whatever the children do.
 */
import type { ChildLink } from "./child-link.js";
import type { NodeCore } from "./core.js";

/** Part of the time left that a parent keeps for itself, and its bounds in milliseconds. */
const RESERVE_FRACTION = 0.1;
const RESERVE_MIN_MS = 20;
const RESERVE_MAX_MS = 1_000;

/** How long a child that was offered a session is waited for, milliseconds. */
const OFFER_ANSWER_MS = 500;

/** How often an unanswered COORD_SHUTDOWN is repeated. */
const REPEAT_MS = 250;

export function reserveMs(remainingMs: number): number {
  return Math.min(RESERVE_MAX_MS, Math.max(RESERVE_MIN_MS, remainingMs * RESERVE_FRACTION));
}

/** The time that an ending may take. It can be cut short: whoever waits is woken then, and looks again. */
export interface Patience {
  /** Monotonic time by which the work is to be done, milliseconds. */
  deadlineAtMs(): number;
  /** Calls back after a time, or earlier when the deadline changed or the node is over. Returns how to forget it. */
  wait(callback: () => void, delayMs: number): () => void;
}

/** Whether a child is there, or was offered a session so lately that it may still use it. */
export function isReachable(link: ChildLink, core: NodeCore): boolean {
  return link.isOpen || (link.offer !== null && core.now() - link.offer.offeredAtMs < OFFER_ANSWER_MS);
}

export interface ShutdownOptions {
  readonly patience: Patience;
  readonly reason: string;
  /** Ends a child that the node started itself; resolves when it is gone. Null for others. */
  endOwned(id: string): Promise<void> | null;
  /** Whether a child has a place in the order; the others go first and together. */
  isOrdered(link: ChildLink): boolean;
}

/** Shuts the children down; resolves when all have answered, are gone, or the time is over. */
export async function shutdownChildren(
  core: NodeCore,
  links: readonly ChildLink[],
  options: ShutdownOptions,
): Promise<void> {
  const { patience } = options;
  const ordered = links.filter((link) => options.isOrdered(link)).toReversed();
  const steps = [links.filter((link) => !options.isOrdered(link)), ...ordered.map((link) => [link])];
  const ends: Promise<unknown>[] = [];
  for (const [index, step] of steps.entries()) {
    const ended = Promise.all(step.map((link) => options.endOwned(link.id) ?? shutdownChild(core, link, options)));
    ends.push(ended);
    const nowMs = core.now();
    const shareMs = (): number => (patience.deadlineAtMs() - nowMs) / (steps.length - index);
    await withDeadline(core, ended, { ...patience, deadlineAtMs: () => nowMs + shareMs() });
  }
  await withDeadline(core, Promise.all(ends), patience);
}

function shutdownChild(
  core: NodeCore,
  link: ChildLink,
  { patience, reason }: Pick<ShutdownOptions, "patience" | "reason">,
): Promise<void> {
  return new Promise((resolve) => {
    let forget: (() => void) | null = null;
    const step = (): void => {
      const remainingMs = patience.deadlineAtMs() - core.now();
      if (core.isOver || !isReachable(link, core) || remainingMs <= 0) {
        link.onClosed = null;
        return resolve();
      }
      const childMs = Math.max(0, Math.floor(remainingMs - reserveMs(remainingMs)));
      link.send({ kind: "shutdown.stop", seq: 0, remainingMs: childMs, reason });
      forget = patience.wait(step, Math.min(link.isOpen ? REPEAT_MS : POLL_MS, Math.ceil(remainingMs)));
    };
    link.onClosed = () => {
      forget?.();
      step();
    };
    step();
  });
}

/** Waits for `work`, but not beyond the deadline. */
export function withDeadline(core: NodeCore, work: Promise<unknown>, patience: Patience): Promise<void> {
  return new Promise((resolve) => {
    let forget: (() => void) | null = null;
    const look = (): void => {
      const leftMs = patience.deadlineAtMs() - core.now();
      if (core.isOver || leftMs <= 0) return resolve();
      forget = patience.wait(look, Math.ceil(leftMs));
    };
    const done = (): void => {
      forget?.();
      resolve();
    };
    work.then(done, done);
    look();
  });
}

const POLL_MS = 10;

/** Waits until `condition` holds, but not beyond the deadline. */
export function untilTrue(core: NodeCore, condition: () => boolean, patience: Patience): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (core.isOver || condition() || core.now() >= patience.deadlineAtMs()) return resolve();
      patience.wait(look, POLL_MS);
    };
    look();
  });
}
