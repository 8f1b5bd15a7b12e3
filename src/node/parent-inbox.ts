/** What comes of what the parent says within its session, and of the session's beginning and end. */
import { type Epoch, formatEpoch } from "../../machines/epoch.js";
import type { Message, SyncFull, UnknownMessage } from "../protocol/messages.js";
import { TEXT_LENGTH_MAX } from "./call.js";
import type { NodeRuntime } from "./runtime.js";
import { reserveMs } from "./shutdown.js";
import type { UplinkPort } from "./uplink.js";

/** The parts of the node that the parent's word concerns. */
type ParentInboxPort = Pick<
  NodeRuntime,
  | "core"
  | "uplink"
  | "router"
  | "requests"
  | "synchronizer"
  | "reporter"
  | "coordinator"
  | "departure"
  | "ending"
  | "lease"
  | "pulse"
  | "existing"
  | "existingRouter"
  | "isBusy"
  | "shutDown"
  | "requestCoordination"
>;

export class ParentInbox implements UplinkPort {
  readonly #port: ParentInboxPort;

  constructor(port: ParentInboxPort) {
    this.#port = port;
  }

  deliver(message: Message | UnknownMessage): void {
    const { core } = this.#port;
    switch (message.kind) {
      case "command.run":
        return this.#port.router.receive(message);
      case "command.cancel":
        return this.#port.router.cancel(message.commandId);
      case "command.reply":
        return this.#port.requests.replied(message);
      case "sync.full":
        return this.#synced(message);
      case "heartbeat.beat":
        return this.#port.uplink?.notePromise(message.nextInMs, message.localHealth);
      case "heartbeat.ack":
        // A question for a sign of life. A bare acknowledgement would be one, but can keep beats, and so reports, back.
        return message.seq > 0 ? this.#port.reporter.send() : undefined;
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

  opened({ budgetMs, sameParent }: { readonly budgetMs: number; readonly sameParent: boolean }): void {
    const { core, coordinator, existing, existingRouter } = this.#port;
    core.log.info({ event: "session.opened", path: core.path, epoch: formatEpoch(core.epoch) }, "session opened");
    if (!sameParent) {
      existing.synchronizer?.forgetReceived();
      existingRouter?.closeParking("another parent counts its documents anew");
    }
    existingRouter?.newSession();
    existing.requests?.calls.opened({ sameExecutor: sameParent });
    // The first frame in the session is what makes it count; it also says that the subtree was ready all along.
    if (coordinator.isCoordinating) {
      coordinator.send({ type: "uplink.opened" });
      this.#port.reporter.announceState();
    } else {
      this.#port.requestCoordination(Math.max(1, budgetMs - reserveMs(budgetMs)));
      // Who became available has told it.
      if (!coordinator.isAvailable) this.#port.reporter.send();
    }
    this.#port.pulse.quicken();
    this.#port.lease.opened();
  }

  lost(): void {
    const { coordinator, core, uplink } = this.#port;
    coordinator.send({ type: "uplink.lost" });
    const { onOrphaned, shutdownTimeoutMs } = core.options;
    if (onOrphaned !== "stop" || uplink?.channel !== null) return;
    const orphaned = { reason: "orphaned", why: "orphaned", timeoutMs: shutdownTimeoutMs, isTree: true } as const;
    void this.#port.departure.begin(orphaned);
  }

  /** Without a parent the orphan policy decides what goes on. */
  closed(): void {
    this.#port.existing.requests?.calls.suspend();
    this.#port.lease.reconsider();
  }

  regained(): void {
    this.#port.coordinator.send({ type: "uplink.opened" });
    this.#port.lease.reconsider();
  }

  superseded(epoch: Epoch): void {
    this.#port.ending.fenced(epoch);
  }

  refusedAsDuplicate(): void {
    this.#port.ending.duplicate();
  }

  granted(credit: number): void {
    this.#port.existing.requests?.calls.grant(credit);
  }

  isBusy(): boolean {
    return this.#port.isBusy;
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
    this.#port.shutDown(Math.max(1, remainingMs), reason.slice(0, TEXT_LENGTH_MAX));
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
