/**
 * COORD_SYNC: one versioned document from a parent to its children, and the one received from our own parent.
 *
 * Only the latest version matters: several changes within a turn are sent once, and only to children that are behind.
 */
import { decodePayload, encodeKept } from "../protocol/payload.js";
import { PayloadTooLargeError } from "../errors.js";
import type { SyncFull } from "../protocol/messages.js";
import type { ChildLink } from "./child-link.js";
import type { Children } from "./children.js";
import type { NodeCore } from "./core.js";

/** The document that a node received from its parent. */
export interface SyncedDocument {
  readonly version: number;
  readonly document: unknown;
  /** Time since it arrived, milliseconds. */
  readonly ageMs: number;
}

export class Synchronizer {
  readonly #core: NodeCore;
  readonly #children: Children;
  #document: Uint8Array | null = null;
  #version = 0;
  #isPushScheduled = false;
  /** Versions sent to each child within its session. */
  readonly #sent = new WeakMap<ChildLink, { readonly session: string; readonly version: number }>();
  #received: { version: number; document: Uint8Array; atMs: number } | null = null;
  #waiting: { readonly version: number; readonly run: () => void }[] = [];

  constructor(core: NodeCore, children: Children) {
    this.#core = core;
    this.#children = children;
  }

  /** The version that the children are to have; 0 before the first document. */
  get version(): number {
    return this.#version;
  }

  /** The version received from the parent; 0 for none. */
  get receivedVersion(): number {
    return this.#received?.version ?? 0;
  }

  get received(): SyncedDocument | null {
    if (this.#received === null) return null;
    const { version, document, atMs } = this.#received;
    return { version, document: decodePayload(document, "document"), ageMs: this.#core.now() - atMs };
  }

  /**
   * Gives the children a new document.
   *
   * @returns its version
   * @throws UnsupportedPayloadError, PayloadTooLargeError
   */
  publish(document: unknown): number {
    const bytes = encodeKept(document, "document");
    if (bytes.length > this.#core.maxBodyBytes())
      throw new PayloadTooLargeError(bytes.length, this.#core.maxBodyBytes());
    this.#document = bytes;
    this.#version++;
    this.#schedulePush();
    return this.#version;
  }

  /** A child says what it has. */
  childHas(link: ChildLink, version: number): void {
    if (version < this.#version) this.#send(link);
  }

  /** Takes the parent's document; returns whether it is news. */
  take(message: SyncFull): boolean {
    if (message.version <= this.receivedVersion) return false;
    const document = new Uint8Array(message.document);
    if (!isPayload(document)) {
      this.#core.drop("parent", "garbled document");
      return false;
    }
    this.#received = { version: message.version, document, atMs: this.#core.now() };
    this.#release();
    return true;
  }

  /** Another parent process counts its versions anew. */
  forgetReceived(): void {
    this.#received = null;
  }

  /** Runs `run` when the parent's document arrives with at least this version; the returned function forgets it. */
  whenReceived(version: number, run: () => void): () => void {
    const entry = { version, run };
    this.#waiting.push(entry);
    return () => {
      this.#waiting = this.#waiting.filter((other) => other !== entry);
    };
  }

  #release(): void {
    const due = this.#waiting.filter(({ version }) => version <= this.receivedVersion);
    this.#waiting = this.#waiting.filter(({ version }) => version > this.receivedVersion);
    for (const { run } of due) run();
  }

  #schedulePush(): void {
    if (this.#isPushScheduled) return;
    this.#isPushScheduled = true;
    this.#core.options.clock.defer(() => this.#push());
  }

  /** One broadcast if every child is behind, which is the rule; else each that is. */
  #push(): void {
    this.#isPushScheduled = false;
    if (this.#core.isOver) return;
    const links = [...this.#children.open()];
    if (links.length === 0) return;
    const { broadcaster } = this.#children;
    if (links.length === 1 || !broadcaster.hasRoom) return links.forEach((link) => this.#send(link));
    for (const link of links) this.#noteSent(link);
    broadcaster.send(this.#message());
  }

  #send(link: ChildLink): void {
    const sent = this.#sent.get(link);
    if (link.channel === null || this.#document === null) return;
    if (sent?.session === link.channel.session && sent.version === this.#version) return;
    this.#noteSent(link);
    link.send(this.#message());
  }

  #noteSent(link: ChildLink): void {
    if (link.channel !== null) this.#sent.set(link, { session: link.channel.session, version: this.#version });
  }

  #message(): SyncFull {
    return { kind: "sync.full", seq: 0, version: this.#version, document: this.#document as Uint8Array };
  }
}

function isPayload(bytes: Uint8Array): boolean {
  try {
    decodePayload(bytes, "document");
    return true;
  } catch {
    return false;
  }
}
