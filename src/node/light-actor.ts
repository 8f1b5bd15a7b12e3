/**
 * What an idle node's actor can do without, as there may be a hundred thousand: 1.1 kB of what XState gives each. All of it
 * is private to XState, so that it is only for actors that nobody but us holds. Where a version of XState has it otherwise,
 * an actor keeps it.
 */
import type { AnyActor } from "xstate";

interface Internals<Emitted> {
  observers: ReadonlySet<unknown>;
  eventListeners: Pick<Listener<Emitted>, "get" | "clear">;
  [DEFERRED]?: readonly unknown[];
}

const DEFERRED = "_deferred";

const NO_OBSERVERS: ReadonlySet<unknown> = new Set();
const NO_OPTIONS: AnyActor["options"] = {};

type Listen<Emitted> = (emitted: Emitted) => void;

/** In place of a Map with a Set in it, which take 0.4 kB: there is one listener for all that is emitted. */
class Listener<Emitted> {
  #listen: Listen<Emitted> | null;

  constructor(listen: Listen<Emitted>) {
    this.#listen = listen;
  }

  get(type: string): this | undefined {
    return type === "*" ? this : undefined;
  }

  values(): readonly Listen<Emitted>[] {
    return this.#listen === null ? [] : [this.#listen];
  }

  clear(): void {
    this.#listen = null;
  }
}

/** Instead of `actor.on("*", listen)`; from now on nobody else can listen or subscribe. */
export function listenLightly<Emitted>(actor: AnyActor, listen: Listen<Emitted>): void {
  const internals = actor as unknown as Internals<Emitted>;
  if (!(internals.eventListeners instanceof Map)) return void actor.on("*", (emitted) => listen(emitted as Emitted));
  internals.observers = NO_OBSERVERS;
  internals.eventListeners = new Listener(listen);
}

/** After the start they are read no more, unless a snapshot is persisted; they have a hidden class of their own, of 0.5 kB. */
export function letGoOfOptions(actor: AnyActor): void {
  actor.options = NO_OPTIONS;
}

/** Between two events: an array that was filled once keeps room for seventeen. */
export function letGoOfRoom(actor: AnyActor): void {
  const internals = actor as unknown as Internals<unknown>;
  if (internals[DEFERRED]?.length === 0) internals[DEFERRED] = [];
}
