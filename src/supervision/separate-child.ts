/**
 * A child in a thread or process of its own, as its starter sees it.
 *
 * S1. `exited` resolves with the exit of the thread or process itself, never with what it said before.
 * S2. A start that fails or is aborted has left nothing running when it rejects.
 */
import { FractalTreeError } from "../errors.js";
import { lendTransport, type MessagePort } from "../transport/port-transport.js";
import { asFromChild, EXIT_DEPENDENCY_DOWN, toChild } from "./child-channel.js";
import { exitOfEnd } from "./exit.js";
import type { ChildExit, StartContext, StartedChild } from "./starter.js";

/** How a thread or process ended. */
export interface RawExit {
  readonly code: number | null;
  /** What else is known of it: a signal, an error's message; empty for nothing. */
  readonly detail: string;
}

/** A thread or process that was just created. */
export interface SeparateChild extends MessagePort {
  /** Resolves when it is gone, or could not be created; never rejects. */
  readonly gone: Promise<RawExit>;
  kill(): void;
  /** Lets it go on without us. */
  release(): void;
}

export interface SeparateStart {
  readonly data: unknown;
  readonly outlivesParent: boolean;
}

/** Resolves once the child's node has started. Rejects with what kept it from that. */
export function startSeparate(
  child: SeparateChild,
  context: StartContext,
  { data, outlivesParent }: SeparateStart,
): Promise<StartedChild> {
  const { path, id, generation, args, transport, signal } = context;
  const { namespace, tree, maxPayloadBytes, connected } = transport;
  const names = { namespace, tree, maxPayloadBytes, connected };
  const order = { ...names, path, id, generation, args, data, outlivesParent };
  const endLoan = lendTransport(child, transport);
  return new Promise((resolve, reject) => {
    let ended: ChildExit | null = null;
    let crash = "";
    let refusal: Error | null = null;
    let isKilled = false;
    const kill = (): void => {
      isKilled = true;
      child.kill();
    };
    const exited = child.gone.then(({ code, detail }) => {
      endLoan();
      unlisten();
      signal.removeEventListener("abort", kill);
      const verdict = exitOf({ code, detail: detail || crash }, ended, isKilled);
      reject(signal.aborted ? signal.reason : (refusal ?? new Error(verdict.reason)));
      return verdict;
    });
    const release = (): void => {
      endLoan();
      child.release();
    };
    const stop = (timeoutMs: number): void => child.post(toChild("stop", timeoutMs));
    const start = (): void => {
      try {
        child.post(toChild("start", order));
      } catch (error) {
        // Its arguments cannot be cloned.
        refusal = error as Error;
        kill();
      }
    };
    const unlisten = child.listen((received) => {
      const message = asFromChild(received);
      if (message === null) return;
      if (message[1] === "hello") start();
      else if (message[1] === "started") resolve({ exited, stop, kill, release });
      else if (message[1] === "refused") refusal = toError(message[2], message[3]);
      else if (message[1] === "ended") ended = exitOfEnd(message[2], message[3]);
      else if (message[1] === "crashed") crash = message[2];
    });
    signal.addEventListener("abort", kill);
    if (signal.aborted) kill();
  });
}

function toError(code: string, message: string): Error {
  return code === "DEPENDENCY_DOWN" ? new FractalTreeError(code, message) : new Error(message);
}

/** What was reported counts if the exit does not contradict it: who says that it has finished and then crashes has crashed. */
function exitOf({ code, detail }: RawExit, reported: ChildExit | null, isKilled: boolean): ChildExit {
  const isClean = code === 0 || isKilled;
  if (reported !== null && (isClean || reported.kind === "failed" || reported.kind === "dependencyDown"))
    return reported;
  if (code === 0) return { kind: "normal", reason: "exit code 0" };
  const reason = [code === null ? "" : `exit code ${code}`, detail].filter((part) => part !== "").join(": ");
  return { kind: code === EXIT_DEPENDENCY_DOWN ? "dependencyDown" : "failed", reason };
}
