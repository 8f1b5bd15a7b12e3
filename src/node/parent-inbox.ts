/** What the parent says within its session, and what comes of it. */
import type { Message, SyncFull, UnknownMessage } from "../protocol/messages.js";
import { TEXT_LENGTH_MAX } from "./call.js";
import type { CommandRouter } from "./command-router.js";
import type { NodeCore } from "./core.js";
import type { Reporter } from "./reporter.js";
import type { Requests } from "./requests.js";
import type { Synchronizer } from "./synchronizer.js";
import type { Uplink } from "./uplink.js";

export interface ParentInboxPort {
  readonly core: NodeCore;
  readonly uplink: Uplink | null;
  readonly router: CommandRouter;
  readonly requests: Requests;
  readonly synchronizer: Synchronizer;
  readonly reporter: Reporter;
  shutdown(remainingMs: number, reason: string): void;
}

export class ParentInbox {
  readonly #port: ParentInboxPort;

  constructor(port: ParentInboxPort) {
    this.#port = port;
  }

  receive(message: Message | UnknownMessage): void {
    const { core, router, requests } = this.#port;
    switch (message.kind) {
      case "command.run":
        return router.receive(message);
      case "command.cancel":
        return router.cancel(message.commandId);
      case "command.reply":
        return requests.replied(message);
      case "sync.full":
        return this.#synced(message);
      case "heartbeat.beat":
        return this.#port.uplink?.notePromise(message.nextInMs, message.localHealth);
      case "heartbeat.ack":
        return;
      case "heartbeat.unsupported":
        return core.drop("parent", "unsupported by the parent");
      case "shutdown.stop":
        return this.#stop(message.remainingMs, message.reason);
      case "shutdown.leaving":
        return this.#left(message.reason);
      case "unknown":
        return this.#unsupported(message);
      default:
        return core.drop("parent", `unexpected ${message.kind}`);
    }
  }

  #synced(message: SyncFull): void {
    const { synchronizer, core, reporter } = this.#port;
    if (!synchronizer.take(message)) return;
    reporter.schedule();
    const { received } = synchronizer;
    if (received !== null) core.emitter.emit("sync.received", received);
  }

  #stop(remainingMs: number, reason: string): void {
    this.#port.uplink?.send({ kind: "ack.shutdown", seq: 0 });
    this.#port.shutdown(Math.max(1, remainingMs), reason.slice(0, TEXT_LENGTH_MAX));
  }

  #left(reason: string): void {
    const { core, uplink } = this.#port;
    core.log.info({ event: "parent.left", path: core.path, reason }, "the parent takes leave");
    uplink?.lose();
  }

  #unsupported({ type, unknownKind }: UnknownMessage): void {
    this.#port.core.drop("parent", "unknown kind");
    this.#port.uplink?.send({ kind: "error.unsupported", seq: 0, type, unknownKind });
  }
}
