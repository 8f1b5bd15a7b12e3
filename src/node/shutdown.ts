/**
 * Ordered shutdown: children first in reverse order of start, then this node, within one deadline.
 *
 * S1. The deadline is absolute for whoever started it; each level below gets what is left, less a reserve for its answer.
 * S2. Joined children, which have no order, go first and together; listed ones follow one by one in reverse order. Who
 *     takes more than its share of the time is no longer waited for before the next is asked: a hung child must not
 *     keep its siblings from being shut down.
 * S3. It ends by its deadline whatever the children do.
 */
import type { Timer } from "../health/clock.js";
import type { ChildLink } from "./child-link.js";
import type { NodeCore } from "./core.js";

/** Part of the time left that a parent keeps for itself, and its bounds in milliseconds. */
const RESERVE_FRACTION = 0.1;
const RESERVE_MIN_MS = 20;
const RESERVE_MAX_MS = 1_000;

/** How often an unanswered COORD_SHUTDOWN is repeated. */
const REPEAT_MS = 250;

export function reserveMs(remainingMs: number): number {
  return Math.min(RESERVE_MAX_MS, Math.max(RESERVE_MIN_MS, remainingMs * RESERVE_FRACTION));
}

/** Shuts the children down; resolves when all have answered, are gone, or the time is over. */
export async function shutdownChildren(
  core: NodeCore,
  links: readonly ChildLink[],
  options: { readonly deadlineAtMs: number; readonly reason: string },
): Promise<void> {
  const listed = links.filter((link) => link.listed).toReversed();
  const steps = [links.filter((link) => !link.listed), ...listed.map((link) => [link])];
  const ends: Promise<unknown>[] = [];
  for (const [index, step] of steps.entries()) {
    const ended = Promise.all(step.map((link) => shutdownChild(core, link, options)));
    ends.push(ended);
    const nowMs = core.now();
    await withDeadline(core, ended, nowMs + (options.deadlineAtMs - nowMs) / (steps.length - index));
  }
  await Promise.all(ends);
}

function shutdownChild(
  core: NodeCore,
  link: ChildLink,
  options: { readonly deadlineAtMs: number; readonly reason: string },
): Promise<void> {
  return new Promise((resolve) => {
    const { clock } = core.options;
    let timer: Timer | null = null;
    const step = (): void => {
      timer = null;
      const remainingMs = options.deadlineAtMs - core.now();
      if (!link.isOpen || remainingMs <= 0) {
        link.onClosed = null;
        return resolve();
      }
      const childMs = Math.max(0, Math.floor(remainingMs - reserveMs(remainingMs)));
      link.send({ kind: "shutdown.stop", seq: 0, remainingMs: childMs, reason: options.reason });
      timer = clock.setTimeout(step, Math.min(REPEAT_MS, remainingMs));
    };
    link.onClosed = () => {
      if (timer !== null) clock.clearTimeout(timer);
      step();
    };
    step();
  });
}

/** Waits for `work`, but not beyond the deadline. */
export function withDeadline(core: NodeCore, work: Promise<unknown>, deadlineAtMs: number): Promise<void> {
  return new Promise((resolve) => {
    const { clock } = core.options;
    const timer = clock.setTimeout(resolve, Math.max(0, deadlineAtMs - core.now()));
    const done = (): void => {
      clock.clearTimeout(timer);
      resolve();
    };
    work.then(done, done);
  });
}

const POLL_MS = 10;

/** Waits until `condition` holds, but not beyond the deadline. */
export function untilTrue(core: NodeCore, condition: () => boolean, deadlineAtMs: number): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (condition() || core.now() >= deadlineAtMs) return resolve();
      core.options.clock.setTimeout(look, POLL_MS);
    };
    look();
  });
}
