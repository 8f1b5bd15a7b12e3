/**
 * The XState actor of one node, which runs its coordination machine.
 *
 * An actor with a system of its own costs a node 2.3 kB more than one that shares a system, so that those that nobody
 * inspects share: some dozens each, because a system that stops an actor looks through the delayed events of all of them.
 */
import {
  type Actor,
  type ActorRefFrom,
  type ActorSystem,
  type ActorSystemInfo,
  createActor,
  fromTransition,
} from "xstate";
import {
  type CoordinationContext,
  type CoordinationEffect,
  type CoordinationEvent,
  type CoordinationInput,
  coordinationMachine,
  type CoordinationState,
} from "../../machines/coordination.js";
import type { Clock } from "../health/clock.js";
import { rethrowLater } from "../health/rethrow-later.js";
import { beginningLogic } from "./beginning.js";
import { letGoOfOptions, letGoOfRoom, listenLightly } from "./light-actor.js";
import type { ResolvedNodeOptions } from "./options.js";

/** Who carries out what the machine emits. */
export interface EffectPort {
  emitted(effect: CoordinationEffect): void;
}

export class CoordinationRun {
  readonly #actor: CoordinationActor;
  /** Null where the actor has a system of its own. */
  readonly #host: Host | null;

  constructor(
    id: string,
    { clock, inspect }: Pick<ResolvedNodeOptions, "clock" | "inspect">,
    input: CoordinationInput,
    port: EffectPort,
  ) {
    this.#host = inspect === null ? hostWithRoom(clock) : null;
    this.#actor =
      inspect === null
        ? createActor(beginningLogic, { id, input, parent: this.#host as Host })
        : createActor(coordinationMachine, { id, input, clock: xstateClock(clock), inspect });
    if (this.#host === null) this.#actor.on("*", (effect) => port.emitted(effect));
    else listenLightly<CoordinationEffect>(this.#actor, (effect) => port.emitted(effect));
  }

  get state(): CoordinationState {
    return this.#actor.getSnapshot().value;
  }

  get context(): CoordinationContext {
    return this.#actor.getSnapshot().context;
  }

  start(): void {
    this.#actor.start();
    if (this.#host !== null) letGoOfOptions(this.#actor);
    letGoOfRoom(this.#actor);
  }

  send(event: CoordinationEvent): void {
    if (this.#actor.getSnapshot().status === "active") this.#actor.send(event);
    letGoOfRoom(this.#actor);
  }

  stop(): void {
    if (this.#host === null) this.#actor.stop();
    else this.#host.send({ type: "actor.stop", actor: this.#actor });
  }
}

type CoordinationActor = Actor<typeof coordinationMachine>;

type HostEvent =
  | { readonly type: "actor.stop"; readonly actor: CoordinationActor }
  | { readonly type: `xstate.error.actor.${string}`; readonly error: unknown };

/** The root of a shared system. XState has only a parent stop its actors; errors of theirs are told to it, and surface. */
const hostLogic = fromTransition<undefined, HostEvent, ActorSystem<ActorSystemInfo>, undefined>(
  (_, event, { stopChild }) => {
    if (event.type === "actor.stop") stopChild(event.actor);
    else if ("error" in event) rethrowLater(event.error);
    return undefined;
  },
  undefined,
);

type Host = ActorRefFrom<typeof hostLogic>;

/** Actors of one system. */
const HOSTED_MAX = 64;
const hosts = new WeakMap<Clock, { readonly host: Host; hosted: number }>();

function hostWithRoom(clock: Clock): Host {
  let latest = hosts.get(clock);
  if (latest === undefined || latest.hosted >= HOSTED_MAX) {
    latest = { host: createActor(hostLogic, { clock: xstateClock(clock) }).start(), hosted: 0 };
    hosts.set(clock, latest);
  }
  latest.hosted++;
  return latest.host;
}

function xstateClock(clock: Clock) {
  return {
    setTimeout: (callback: () => void, delayMs: number): object => clock.setTimeout(callback, delayMs),
    clearTimeout: (timer: object): void => {
      if (timer !== undefined) clock.clearTimeout(timer);
    },
  };
}
