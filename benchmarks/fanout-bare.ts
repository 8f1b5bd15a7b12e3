/**
 * The other floor of the benchmark `fanout`: what is left of nodes when each side of a link is one object that does no more
 * than fan-out's promises ask. Messages come in order and once within a session; over NATS they are kept until they are
 * acknowledged, and repeated if that takes long, and a broadcast acknowledges what all children have sent before. A command
 * runs once for its id, as long as its outcome is kept; calls note when they are due, and credit bounds them. There are no
 * states, no heartbeats, no recovery, no relays, no cancelling and no errors, and nothing is validated.
 */
import type { Transport } from "fractal-tree";
import { realClock } from "../src/health/real-clock.js";
import { ackIn } from "../src/node/acknowledger.js";
import { Alarm, type AlarmPort } from "../src/node/alarm.js";
import type { Outlet } from "../src/node/core.js";
import { decodeBroadcast, FrameLetter } from "../src/node/frame-letter.js";
import { Registry } from "../src/node/registry.js";
import type { CommandRun, CompleteCommand, Frame, Message } from "../src/protocol/messages.js";
import { decodePayload, encodePayload } from "../src/protocol/payload.js";
import { frameFrom, frameOf, listen, newCommand, outletTo, publish } from "./fanout-floor.js";

/** Of the broadcasts. */
const SESSION = "q3JkT0aZ";
const REPEAT_MS = 200;
const CREDIT = 1_024;
const OUTCOMES_MAX = 5_000;

type Handler = (input: unknown) => unknown;

/** What both ends of a link keep of their session. */
class End implements AlarmPort {
  readonly clock = realClock;
  sentSeq = 0;
  receivedSeq = 0;
  broadcastSeq = 0;
  lastHeardMs = 0;
  lastSentMs = 0;
  readonly session: string;
  readonly unacknowledged: Message[] = [];
  protected readonly transport: Transport;
  protected readonly outlet: Outlet;
  /** Within a thread nothing is. */
  readonly #canBeLost: boolean;
  /** When the oldest message is sent again; 0 while all are acknowledged. */
  #repeatAtMs = 0;
  readonly #alarm = new Alarm(this);

  constructor(transport: Transport, subject: string, session: string) {
    this.transport = transport;
    this.outlet = outletTo(transport, subject);
    this.session = session;
    this.#canBeLost = transport.locals === undefined;
  }

  protected send(message: Message): void {
    message.seq = ++this.sentSeq;
    this.#write(message);
    if (!this.#canBeLost) return;
    this.unacknowledged.push(message);
    if (this.#repeatAtMs === 0) this.#repeatAt(this.lastSentMs + REPEAT_MS);
  }

  #write(message: Message): void {
    const header = {
      version: 1,
      session: this.session,
      ack: this.receivedSeq,
      broadcastAck: this.broadcastSeq,
      credit: this.sentSeq + CREDIT,
    };
    this.lastSentMs = nowMs();
    publish(this.transport, this.outlet, new FrameLetter(header, [message]));
  }

  /** Whether the frame is of this session. */
  protected takes({ session, ack }: Frame): boolean {
    if (session !== this.session && session !== SESSION) return false;
    this.lastHeardMs = nowMs();
    this.acknowledge(ack);
    return true;
  }

  protected acknowledge(seq: number): void {
    const { unacknowledged } = this;
    while (unacknowledged.length > 0 && (unacknowledged[0] as Message).seq <= seq) unacknowledged.shift();
    if (unacknowledged.length === 0) this.#repeatAtMs = 0;
  }

  wake(atMs: number): number {
    const [oldest] = this.unacknowledged;
    if (oldest === undefined || atMs < this.#repeatAtMs) return this.#repeatAtMs || Infinity;
    this.#write(oldest);
    return (this.#repeatAtMs = this.lastSentMs + REPEAT_MS);
  }

  #repeatAt(atMs: number): void {
    this.#repeatAtMs = atMs;
    this.#alarm.coverUntil(atMs);
  }
}

class BareChild extends End {
  readonly #handlers: ReadonlyMap<string, Handler>;
  /** Calls whose handler has not ended. */
  #running = 0;
  /** Ids, each before its outcome. */
  #outcomes: (string | Uint8Array)[] = [];
  #latestId = "";
  readonly #names: ChildNames;

  constructor(transport: Transport, names: ChildNames, handlers: ReadonlyMap<string, Handler>) {
    super(transport, names.up, names.session);
    this.#names = names;
    this.#handlers = handlers;
  }

  start(): void {
    listen(this.transport, this.#names.down, (carried) => this.#hear(frameOf(carried, "down"), true));
    listen(this.transport, this.#names.all, (carried) => this.#hear(frameFrom(decodeBroadcast(carried)), false));
  }

  #hear(frame: Frame, isUnicast: boolean): void {
    if (!this.takes(frame)) return;
    for (const message of frame.messages) {
      if (message.kind === "heartbeat.acks") this.acknowledge(ackIn(message.acks, this.session));
      else if (this.#isNext(Math.abs(message.seq), isUnicast)) this.#run(message as CommandRun);
    }
  }

  #isNext(seq: number, isUnicast: boolean): boolean {
    if (seq !== (isUnicast ? this.receivedSeq : this.broadcastSeq) + 1) return false;
    if (isUnicast) this.receivedSeq = seq;
    else this.broadcastSeq = seq;
    return true;
  }

  /** Ids rise: one that is not higher than the latest was seen before. */
  #run({ commandId, name, input, deadlineMs }: CommandRun): void {
    const handler = this.#handlers.get(name);
    if (handler === undefined || deadlineMs <= 0 || this.#running >= CREDIT) throw new Error("refused");
    if (commandId <= this.#latestId && this.#outcomes.includes(commandId)) throw new Error("seen before");
    this.#latestId = commandId;
    this.#running++;
    const output = encodePayload(handler(decodePayload(input, "input")), "result");
    this.#running--;
    if (this.#outcomes.length >= 2 * OUTCOMES_MAX) this.#outcomes = [];
    this.#outcomes.push(commandId, output);
    this.send({ kind: "complete.command", seq: 0, commandId, output });
  }
}

interface ChildNames {
  readonly session: string;
  readonly up: string;
  readonly down: string;
  readonly all: string;
}

interface BareCall {
  readonly startedAtMs: number;
  readonly deadlineAtMs: number;
}

interface BareOutcome {
  readonly target: string;
  readonly commandId: string;
  readonly value: unknown;
  readonly durationMs: number;
}

class BareLink extends End {
  readonly id: string;
  peerCredit = CREDIT;
  /** Under way, by id. */
  readonly calls = new Registry<BareCall>();

  constructor(transport: Transport, { down, session }: ChildNames, id: string) {
    super(transport, down, session);
    this.id = id;
  }

  /** Notes a call as sent. */
  begin(commandId: string, { startedAtMs, deadlineAtMs }: BareCall): void {
    if (this.sentSeq >= this.peerCredit) throw new Error("no credit");
    this.calls.add(commandId, { startedAtMs, deadlineAtMs });
  }

  run(command: CommandRun): void {
    this.send(command);
  }

  hear(frame: Frame, done: (outcome: BareOutcome) => void): void {
    if (!this.takes(frame)) return;
    this.peerCredit = Math.max(this.peerCredit, frame.credit);
    for (const message of frame.messages) {
      if (message.seq !== this.receivedSeq + 1) continue;
      this.receivedSeq++;
      this.#complete(message as CompleteCommand, done);
    }
  }

  #complete({ commandId, output }: CompleteCommand, done: (outcome: BareOutcome) => void): void {
    const call = this.calls.get(commandId);
    if (call === undefined) return;
    this.calls.delete(commandId);
    const durationMs = nowMs() - call.startedAtMs;
    done({ target: this.id, commandId, value: decodePayload(output, "result"), durationMs });
  }
}

/** Asks all, again and again; returns the time for each answer, microseconds. */
export class BareParent {
  readonly #transport: Transport;
  readonly #all: Outlet;
  readonly #links = new Map<string, BareLink>();
  #broadcastSeq = 0;
  #calls = 0;
  #outcomes: BareOutcome[] = [];
  #done: () => void = () => {};

  constructor(transport: Transport, width: number) {
    this.#transport = transport;
    this.#all = outletTo(transport, namesOf(width, "").all);
    for (let place = 0; place < width; place++) {
      const id = `c${place}`;
      this.#links.set(id, new BareLink(transport, namesOf(width, id), id));
    }
    listen(transport, namesOf(width, "*").up, (carried, subject) => this.#hear(frameOf(carried, "up"), subject));
  }

  async costPerChild(isBroadcast: boolean, input: unknown, fanOuts: number): Promise<number> {
    const startedAtMs = performance.now();
    for (let n = 0; n < fanOuts; n++) await this.#ask(isBroadcast, input);
    return ((performance.now() - startedAtMs) * 1_000) / (fanOuts * this.#links.size);
  }

  #ask(isBroadcast: boolean, payload: unknown): Promise<void> {
    const input = encodePayload(payload, "input");
    const startedAtMs = nowMs();
    const times = { startedAtMs, deadlineAtMs: startedAtMs + 30_000 };
    this.#outcomes = [];
    if (isBroadcast) this.#broadcast(input, times);
    else for (const link of this.#links.values()) link.run(this.#command(input, link, times));
    return new Promise((resolve) => (this.#done = resolve));
  }

  #broadcast(input: Uint8Array, times: BareCall): void {
    const command = newCommand(this.#newId(), input);
    command.seq = -++this.#broadcastSeq;
    for (const link of this.#links.values()) link.begin(command.commandId, times);
    const messages = this.#transport.locals === undefined ? [this.#acks(), command] : [command];
    publish(this.#transport, this.#all, new FrameLetter({ version: 1, session: SESSION }, messages));
  }

  #acks(): Message {
    const acks: (string | number)[] = [];
    for (const { session, receivedSeq } of this.#links.values()) acks.push(session, receivedSeq);
    return { kind: "heartbeat.acks", seq: 0, acks };
  }

  #command(input: Uint8Array, link: BareLink, times: BareCall): CommandRun {
    const command = newCommand(this.#newId(), input);
    link.begin(command.commandId, times);
    return command;
  }

  #newId(): string {
    return `k3j9x02mf8qa${(2 ** 40 + this.#calls++).toString(36)}`;
  }

  #hear(frame: Frame, subject: string): void {
    this.#links.get(subject.slice(subject.lastIndexOf(".") + 1))?.hear(frame, this.#take);
  }

  readonly #take = (outcome: BareOutcome): void => {
    this.#outcomes.push(outcome);
    if (this.#outcomes.length === this.#links.size) this.#done();
  };
}

/** Answers for these children, whatever asks them. */
export function startBareChildren(transport: Transport, width: number, places: readonly number[]): void {
  const handlers = new Map<string, Handler>([["count", (input) => (input as { readonly quantity: number }).quantity]]);
  for (const place of places) new BareChild(transport, namesOf(width, `c${place}`), handlers).start();
}

function namesOf(width: number, id: string): ChildNames {
  const tree = `bare.w${width}`;
  const session = id.padEnd(8, "0");
  return { session, up: `${tree}.up.${id}`, down: `${tree}.down.${id}`, all: `${tree}.all` };
}

function nowMs(): number {
  return Math.trunc(performance.now());
}
