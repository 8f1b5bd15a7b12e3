/**
 * Peers without the runtime: they write and read bare MessagePack arrays, as docs/protocol.md says, and know only the
 * mandatory kinds. What they send is version 1 as an older or a newer program would speak it: each frame and message has
 * an element that nobody knows, and now and then comes a kind that nobody knows.
 */
import { Packr } from "msgpackr";
import type { World } from "./kit.js";

const packr = new Packr({ useRecords: false, mapsAsObjects: true });

/** [type, kind, seq, field, …] */
export type RawMessage = readonly [type: number, kind: number, seq: number, ...fields: unknown[]];

/** What nobody knows: an element after the known ones. */
const EXTRA = { added: "by a later version", list: [1, 2, 3] };

export interface RawFrame {
  readonly session?: string;
  readonly ack?: number;
  readonly broadcastAck?: number;
  readonly credit?: number;
  readonly messages: readonly RawMessage[];
}

export function rawFrame({ session = "", ack = 0, broadcastAck = 0, credit = 0, messages }: RawFrame): Uint8Array {
  const extended = messages.map((message) => [...message, EXTRA]);
  return packr.pack([1, session, ack, broadcastAck, credit, extended, EXTRA, "and another"]);
}

export function pack(value: unknown): Uint8Array {
  return packr.pack(value);
}

interface ReceivedFrame {
  readonly session: string;
  readonly messages: readonly unknown[][];
}

function read(payload: Uint8Array): ReceivedFrame {
  const [, session, , , , messages] = packr.unpack(payload) as [number, string, number, number, number, unknown[][]];
  return { session, messages };
}

const BEAT_MS = 400;

/** A type and kind that no version has. */
const UNKNOWN: RawMessage = [8, 99, 0, "what is this?"];

export class RawChild {
  readonly boot: string;
  /** Every message that came, with its type and kind as "type.kind". */
  readonly received: { readonly key: string; readonly fields: readonly unknown[] }[] = [];
  session = "";
  epoch: readonly number[] = [];
  /** Answers commands by name; null leaves the answer to the test. */
  answers: Readonly<Record<string, ((input: unknown) => unknown) | null>> = {};
  #attempt = 0;
  #seq = 0;
  #ack = 0;
  #broadcastAck = 0;
  #commands = 0;
  readonly #world: World;
  readonly #path: string;

  constructor(world: World, path: string, boot = `raw-${path}`) {
    this.#world = world;
    this.#path = path;
    this.boot = boot;
    const parent = path.slice(0, path.lastIndexOf("."));
    world.broker.subscribe(`ft.local.down.${path}`, (payload) => this.#receive(payload));
    world.broker.subscribe(`ft.local.all.${parent}`, (payload) => this.#receive(payload));
    this.#beat();
  }

  announce(versionMin = 1, versionMax = 1): void {
    this.#attempt++;
    const { boot, epoch } = this;
    const message: RawMessage = [9, 0, 0, "local", boot, this.#attempt, epoch, [], versionMin, versionMax];
    this.#publish({ messages: [message] });
  }

  /** Sends within the session. */
  send(...messages: readonly RawMessage[]): void {
    const { session } = this;
    const credit = this.#commands + 10;
    this.#publish({ session, ack: this.#ack, broadcastAck: this.#broadcastAck, credit, messages });
  }

  nextSeq(): number {
    return ++this.#seq;
  }

  #publish(frame: RawFrame): void {
    this.#world.broker.publish(`ft.local.up.${this.#path}`, rawFrame(frame));
  }

  #beat(): void {
    this.#world.clock.setTimeout(() => this.#beat(), BEAT_MS);
    if (this.session !== "") this.send(this.#report(), UNKNOWN);
  }

  /** nextInMs, localHealth, state SYNCHRONIZED, reasons, running, queued, nodes, available, syncVersion, progress */
  #report(): RawMessage {
    return [7, 0, 0, 2 * BEAT_MS, 0, 2, 0, 0, 0, 1, 1, 0, 0];
  }

  #receive(payload: Uint8Array): void {
    const { messages } = read(payload);
    for (const [type, kind, seq, ...fields] of messages) {
      const key = `${String(type)}.${String(kind)}`;
      this.received.push({ key, fields });
      if ((seq as number) > this.#ack) this.#ack = seq as number;
      if (-(seq as number) > this.#broadcastAck) this.#broadcastAck = -(seq as number);
      this.#handle(key, fields);
    }
  }

  #handle(key: string, fields: readonly unknown[]): void {
    if (key === "1.0" && this.session === "") this.announce();
    if (key === "1.1") this.#offered(fields);
    if (key === "2.0") this.#run(fields);
    if (key === "5.0") this.send([6, 1, 0], [10, 1, this.nextSeq()]);
  }

  #offered([, , , boot, attempt, session, epoch]: readonly unknown[]): void {
    if (boot !== this.boot || attempt !== this.#attempt) return;
    this.session = session as string;
    this.epoch = epoch as readonly number[];
    this.#seq = 0;
    this.#ack = 0;
    this.send([9, 1, 0, 2], this.#report());
  }

  #run([commandId, , name, input]: readonly unknown[]): void {
    this.#commands++;
    const answer = this.answers[name as string];
    if (answer === null) return;
    if (answer === undefined) {
      this.send([8, 0, this.nextSeq(), commandId, 4, "UNKNOWN_COMMAND", "no such command", ""]);
    } else {
      const output = pack(answer(packr.unpack(input as Uint8Array)));
      this.send([10, 0, this.nextSeq(), commandId, output]);
    }
  }
}

export class RawParent {
  readonly received: { readonly id: string; readonly key: string; readonly fields: readonly unknown[] }[] = [];
  /** By child id. */
  readonly sessions = new Map<string, string>();
  readonly broadcastSession = "rawcast";
  /** Beats on, but answers nobody. */
  isDeaf = false;
  readonly #seqs = new Map<string, number>();
  readonly #acks = new Map<string, number>();
  readonly #world: World;
  readonly #path: string;

  constructor(world: World, path: string) {
    this.#world = world;
    this.#path = path;
    world.broker.subscribe(`ft.local.up.${path}.*`, (payload, subject) => this.#receive(payload, subject));
    this.#beat();
  }

  /** treeId, parentBoot, parentEpoch, versionMin, versionMax */
  probe(versionMin = 1, versionMax = 1): void {
    this.broadcast([1, 0, 0, "local", "raw-parent", [5], versionMin, versionMax]);
  }

  /** Sends to one child within its session. */
  send(id: string, ...messages: readonly RawMessage[]): void {
    const frame = { session: this.sessions.get(id) ?? "", ack: this.#acks.get(id) ?? 0, credit: 100, messages };
    this.#world.broker.publish(`ft.local.down.${this.#path}.${id}`, rawFrame(frame));
  }

  broadcast(message: RawMessage): void {
    const session = message[0] === 1 ? "" : this.broadcastSession;
    this.#world.broker.publish(`ft.local.all.${this.#path}`, rawFrame({ session, messages: [message] }));
  }

  nextSeq(id: string): number {
    const seq = (this.#seqs.get(id) ?? 0) + 1;
    this.#seqs.set(id, seq);
    return seq;
  }

  /** Gives a command to one child, whatever its credit is. */
  command(id: string, commandId: string, name: string, input: unknown): void {
    this.send(id, [2, 0, this.nextSeq(id), commandId, "", name, pack(input), 10_000, false, 0, null]);
  }

  #beat(): void {
    this.#world.clock.setTimeout(() => this.#beat(), BEAT_MS);
    this.broadcast([4, 0, 0, 2 * BEAT_MS, 0]);
    for (const id of this.isDeaf ? [] : this.sessions.keys()) this.send(id, [4, 99, 0, "what is this?"]);
  }

  #receive(payload: Uint8Array, subject: string): void {
    if (this.isDeaf) return;
    const id = subject.slice(subject.lastIndexOf(".") + 1);
    for (const [type, kind, seq, ...fields] of read(payload).messages) {
      const key = `${String(type)}.${String(kind)}`;
      this.received.push({ id, key, fields });
      if ((seq as number) > (this.#acks.get(id) ?? 0)) this.#acks.set(id, seq as number);
      if (key === "9.0") this.#open(id, fields);
      else if ((seq as number) !== 0) this.send(id, [4, 1, 0]);
    }
  }

  #open(id: string, [, boot, attempt]: readonly unknown[]): void {
    const session = `raw-${id}-${String(attempt)}`;
    this.sessions.delete(id);
    this.#seqs.set(id, 0);
    this.#acks.set(id, 0);
    const grant = ["local", "raw-parent", [5], boot, attempt, session, [5, 1], 1, this.broadcastSession, 0];
    this.send(id, [1, 1, 0, ...grant, 10_000, 2 * BEAT_MS, 0, false]);
    this.sessions.set(id, session);
  }
}
