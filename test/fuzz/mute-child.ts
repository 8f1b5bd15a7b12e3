/** A child without the runtime that opens a session, asks and asks, and never acknowledges an answer. */
import type { Transport } from "../../src/index.js";
import { decodeFrame } from "../../src/protocol/codec.js";
import type { Message } from "../../src/protocol/messages.js";
import { downSubject, upSubject } from "../../src/protocol/subjects.js";
import { said } from "./speech.js";

const BOOT = "mute";

export class MuteChild {
  readonly #transport: Transport;
  readonly #subject: string;
  #session = "";

  constructor(transport: Transport, path: string) {
    this.#transport = transport;
    this.#subject = upSubject(transport, path);
    transport.subscribe(downSubject(transport, path), (payload) => this.#receive(payload));
  }

  announce(): void {
    this.#say("", "ready.announce", { childBoot: BOOT, attempt: 1 });
  }

  ask(requestId: string, name: string): void {
    this.#say(this.#session, "status.request", { requestId, name });
  }

  #receive(payload: Uint8Array): void {
    const decoded = decodeFrame(payload, "down");
    for (const message of decoded.kind === "frame" ? decoded.frame.messages : []) {
      if (message.kind !== "init.open" || message.childBoot !== BOOT) continue;
      this.#session = message.session;
      this.#say(this.#session, "ready.subtree", { state: 2 });
    }
  }

  #say(session: string, kind: Message["kind"], fields: Readonly<Record<string, unknown>>): void {
    this.#transport.publish(this.#subject, said(session, kind, fields));
  }
}
