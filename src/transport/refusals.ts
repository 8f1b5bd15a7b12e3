/**
 * What the server refuses for lack of permission. It says so later and once for each message; whoever runs the process
 * wants to know once, which subject it is and what to do.
 */
import { PermissionDeniedError } from "../errors.js";
import type { NatsStatusLike } from "./nats-connection.js";

/** A subject that stays refused is told again after this time. */
const TELL_AGAIN_MS = 60_000;
const SUBJECTS_MAX = 1_000;

/** The refusal that a client reports by this status; null when it reports something else. */
export function refusalIn({ error, permissionContext }: NatsStatusLike): PermissionDeniedError | null {
  // Version 3 puts operation and subject into the error, version 2 beside it.
  const { operation, subject } = (permissionContext ?? error ?? {}) as { operation?: unknown; subject?: unknown };
  if (typeof subject !== "string" || (operation !== "publish" && operation !== "subscription")) return null;
  return new PermissionDeniedError(operation === "publish" ? "publish" : "subscribe", subject, error);
}

/** Unless the user listens: a node that is refused its subjects must not stand there mute and deaf without a word. */
export function warnOfRefusal(error: Error): void {
  if (error instanceof PermissionDeniedError) process.emitWarning(error);
}

/** Which refusals were told lately. */
export class Refusals {
  readonly #toldAtMs = new Map<string, number>();

  /** Whether to tell of this one now. */
  isNews({ operation, subject }: PermissionDeniedError, nowMs: number): boolean {
    const key = `${operation} ${subject}`;
    const toldAtMs = this.#toldAtMs.get(key);
    if (toldAtMs !== undefined && nowMs - toldAtMs < TELL_AGAIN_MS) return false;
    if (toldAtMs === undefined && this.#toldAtMs.size >= SUBJECTS_MAX) this.#toldAtMs.clear();
    this.#toldAtMs.set(key, nowMs);
    return true;
  }
}
