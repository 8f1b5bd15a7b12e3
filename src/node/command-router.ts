/** Commands that come from the parent: run here, or passed on to the child that leads to their target. */
import { estimateBytes } from "../protocol/codec.js";
import { type CommandRun, STATUSES, type UpMessage } from "../protocol/messages.js";
import { splitTarget } from "../protocol/path.js";
import type { CallSink, Outcome } from "./call.js";
import { refused, uncompleted } from "./call.js";
import type { OutgoingCall } from "./call-entry.js";
import { type ChildLink, toCommandRun } from "./child-link.js";
import type { Executor } from "./executor.js";
import { Parking } from "./parking.js";
import { Registry } from "./registry.js";
import type { NodeRuntime } from "./runtime.js";
import { RelayMemory } from "./relay-memory.js";
import type { Synchronizer } from "./synchronizer.js";

/** The parts of the node that commands concern. */
type CommandRouterPort = Pick<NodeRuntime, "core" | "children" | "executor" | "synchronizer" | "uplink" | "refusal">;

/** A command passed on: where a cancel goes. */
interface Relayed {
  readonly link: ChildLink;
  readonly sink: CallSink;
  /** In which it last arrived. */
  session: number;
}

/** Of nodes that passed nothing on yet. Never written to. */
const NOTHING_RELAYED = new Registry<Relayed>();

/** Answers go into whatever session is open when they are ready: a re-sent command is answered from the cache. */
export class CommandRouter implements CallSink {
  readonly #port: CommandRouterPort;
  readonly #executor: Executor;
  /** Commands of this session that arrived. */
  #taken = 0;
  /** Commands passed on, by id: to whom a cancel goes. */
  #relayed = NOTHING_RELAYED;
  readonly #synchronizer: Synchronizer;
  #memory: RelayMemory | null = null;
  readonly #parking: Parking;
  /** Who waits until everything passed on was answered. */
  #idle: (() => void)[] | null = null;
  /** Counts the sessions with the parent. */
  #session = 0;

  constructor(port: CommandRouterPort) {
    this.#port = port;
    this.#executor = port.executor;
    this.#synchronizer = port.synchronizer;
    this.#parking = new Parking(port.core, port.synchronizer);
  }

  /** Commands of this session that we take in all. */
  get credit(): number {
    return this.#taken + this.#executor.freeSlots;
  }

  /** Commands of the parent are under way here or below. */
  get isBusy(): boolean {
    return this.#executor.size + this.#relayed.size > 0;
  }

  newSession(): void {
    this.#session++;
    this.#taken = 0;
  }

  receive(message: CommandRun): void {
    this.#taken++;
    if (this.#isKnown(message)) return;
    const refusal = this.#port.refusal();
    if (refusal !== null) return this.settle(refusal, message.commandId);
    // Nearly no command asks for one.
    const receivedVersion = message.minSyncVersion === 0 ? 0 : this.#synchronizer.receivedVersion;
    if (message.minSyncVersion <= receivedVersion) return this.#start(message, message.deadlineMs);
    this.#port.uplink?.send({ kind: "status.syncRequest", seq: 0, version: receivedVersion });
    this.#parking.park(message, this, (deadlineMs) => {
      if (!this.#isKnown(message)) this.#start(message, deadlineMs);
    });
  }

  progress(value: Uint8Array, commandId: string): void {
    const { core, uplink } = this.#port;
    if (value.length > core.maxBodyBytes()) return;
    uplink?.send({ kind: "status.progress", seq: 0, commandId, value });
  }

  settle(outcome: Outcome, commandId: string): void {
    const { core, uplink } = this.#port;
    uplink?.send(toAnswer(commandId, outcome, core.maxBodyBytes()), true);
  }

  cancel(commandId: string): void {
    if (this.#parking.answer(commandId, CANCELLED)) return;
    const relayed = this.#relayed.get(commandId);
    if (relayed === undefined) this.#executor.cancel(commandId);
    else relayed.link.calls.cancel(commandId, relayed.sink);
  }

  /** The user of this node cancels a command that it gave. */
  cancelBelow(commandId: string, target: string, sink: CallSink): void {
    this.#port.children.get(splitTarget(target).childId)?.calls.cancel(commandId, sink);
  }

  /** Resolves when everything passed on was answered. */
  idle(): Promise<void> {
    if (this.#relayed.size === 0) return Promise.resolve();
    return new Promise((resolve) => (this.#idle ??= []).push(resolve));
  }

  /** Refuses what waits for a document that will not come any more, or has one that does not count any more. */
  closeParking(why: string): void {
    this.#parking.close(why);
    this.#executor.refuseInformed(why);
  }

  /** Hands a call to the child that leads to `target`, or refuses it. */
  submit(call: OutgoingCall, target: string): void {
    const child = this.#port.children.get(target);
    // No id has a dot in it.
    if (child !== undefined) return this.submitTo(child, call);
    const { childId, rest } = splitTarget(target);
    const link = this.#port.children.get(childId);
    if (link === undefined) return call.sink.settle(refused("UNKNOWN_CHILD", `there is no child ${childId}`), call.id);
    this.submitTo(link, call, rest);
  }

  /** Hands a call to a child, for itself or for what is below it. */
  submitTo(link: ChildLink, call: OutgoingCall, rest = ""): void {
    const isComing = link.isAttached || link.state === "opening";
    if (!isComing && !call.content.idempotent) {
      return call.sink.settle(refused("UNAVAILABLE", `child ${link.id} is ${link.state}`), call.id);
    }
    call.target = rest;
    link.calls.submit(call);
  }

  /** Sent again over a new session: it is answered, or will be, whatever state this node is in by now. */
  #isKnown({ commandId, target }: CommandRun): boolean {
    if (target === "") return this.#executor.rejoin(commandId, this);
    const relayed = this.#relayed.get(commandId);
    if (relayed !== undefined) {
      relayed.session = this.#session;
      return true;
    }
    const outcome = this.#memory?.recall(commandId, this.#session);
    if (outcome !== undefined) this.settle(outcome, commandId);
    return outcome !== undefined;
  }

  #start(message: CommandRun, deadlineMs: number): void {
    if (message.target === "") this.#executor.acceptNew(message.commandId, message, this, deadlineMs);
    else this.#relay(message, deadlineMs);
  }

  #relay(message: CommandRun, deadlineMs: number): void {
    const { core, children } = this.#port;
    const { childId } = splitTarget(message.target);
    const link = children.get(childId);
    const call: OutgoingCall = {
      id: message.commandId,
      target: "",
      content: {
        name: message.name,
        input: message.input,
        deadlineAtMs: core.now() + deadlineMs,
        idempotent: message.idempotent,
        minSyncVersion: 0,
        meta: message.meta,
      },
      sink: this.#relaySink(message.commandId),
    };
    if (estimateBytes(toCommandRun(call, core)) > core.maxBodyBytes()) {
      const why = `${core.path} cannot pass on a message of this size`;
      return this.settle(refused("TOO_LARGE_FOR_HOP", why), message.commandId);
    }
    if (this.#relayed === NOTHING_RELAYED) this.#relayed = new Registry();
    if (link !== undefined) this.#relayed.add(message.commandId, { link, sink: call.sink, session: this.#session });
    this.submit(call, message.target);
  }

  #relaySink(commandId: string): CallSink {
    return {
      progress: (value) => this.progress(value, commandId),
      settle: (outcome) => {
        this.#remember(commandId, outcome, this.#relayed.get(commandId)?.session ?? this.#session);
        this.#relayed.delete(commandId);
        this.settle(outcome, commandId);
        this.#reportIdle();
      },
    };
  }

  #remember(commandId: string, outcome: Outcome, session: number): void {
    const { outcomesMax, outcomesMaxBytes } = this.#port.core.options;
    (this.#memory ??= new RelayMemory(outcomesMax, outcomesMaxBytes)).note(commandId, outcome, session);
  }

  #reportIdle(): void {
    if (this.#relayed.size > 0) return;
    const waiting = this.#idle ?? [];
    this.#idle = null;
    for (const resolve of waiting) resolve();
  }
}

const CANCELLED = uncompleted("cancelled", "CANCELLED", "cancelled by the caller");

function toAnswer(commandId: string, outcome: Outcome, maxBytes: number): UpMessage {
  if (outcome.status === "completed" && outcome.output.length <= maxBytes) {
    return { kind: "complete.command", seq: 0, commandId, output: outcome.output };
  }
  const isTooLarge = outcome.status === "completed";
  return {
    kind: "error.command",
    seq: 0,
    commandId,
    status: STATUSES.indexOf(isTooLarge ? "failed" : outcome.status),
    code: isTooLarge ? "RESULT_NOT_SENDABLE" : outcome.code,
    message: isTooLarge ? "the result is too large to be passed on" : outcome.message,
    handlerCode: outcome.handlerCode,
  };
}
