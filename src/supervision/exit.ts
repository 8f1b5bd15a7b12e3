/** From what a node or a starter reports to an exit in OTP's classes. */
import type { ChildExit } from "./starter.js";

/** The exit of a node that ended for this reason (an `EndReason`), with what made it fail if anything did. */
export function exitOfEnd(reason: string, failure: string | null): ChildExit {
  switch (reason) {
    case "stopped":
      return { kind: "normal", reason };
    case "shutdown":
      return { kind: "shutdown", reason };
    case "dependencyDown":
      return { kind: "dependencyDown", reason: failure ?? reason };
    case "failed":
      return { kind: "failed", reason: failure ?? reason };
    default:
      return { kind: "failed", reason };
  }
}

/** The exit of an incarnation whose start was rejected with this. */
export function exitOfStartError(error: unknown): ChildExit {
  const code = typeof error === "object" && error !== null ? (error as { code?: unknown }).code : undefined;
  const message = error instanceof Error ? error.message : String(error);
  return { kind: code === "DEPENDENCY_DOWN" ? "dependencyDown" : "failed", reason: `start failed: ${message}` };
}

/** Whether it gave way to another process at its path, or was refused because of one. */
export function gaveWay({ reason }: ChildExit): boolean {
  return reason === "fenced" || reason === "duplicatePath";
}
