/**
 * Runs the coordination machine of one node: as an XState actor where somebody inspects it, and otherwise step by step. An
 * actor costs 5 kB and a node's start twice the time; what comes out is the same.
 */
import { type ActorRefFrom, createActor } from "xstate";
import {
  type CoordinationContext,
  type CoordinationEffect,
  type CoordinationEvent,
  type CoordinationInput,
  coordinationMachine,
  type CoordinationState,
} from "../../machines/coordination.js";
import {
  type CoordinationSnapshot,
  type CoordinationStep,
  initialStep,
  nextStep,
  type StepEffect,
} from "../../machines/coordination-step.js";
import type { Clock, Timer } from "../health/clock.js";
import { rethrowLater } from "../transport/subscriptions.js";
import type { Inspect, ResolvedNodeOptions } from "./options.js";

export interface CoordinationRun {
  readonly state: CoordinationState;
  readonly context: CoordinationContext;
  start(): void;
  /** What arrives before the start or after the stop is ignored. An event sent meanwhile waits for the end of the step. */
  send(event: CoordinationEvent): void;
  stop(): void;
}

/** Who carries out what the machine emits. */
export interface EffectPort {
  emitted(effect: CoordinationEffect): void;
}

export function runCoordination(
  id: string,
  options: Pick<ResolvedNodeOptions, "clock" | "inspect">,
  input: CoordinationInput,
  port: EffectPort,
): CoordinationRun {
  const { clock, inspect } = options;
  return inspect === null ? new StepwiseRun(clock, input, port) : new InspectedRun(id, { clock, inspect }, input, port);
}

class StepwiseRun implements CoordinationRun {
  readonly #clock: Clock;
  readonly #port: EffectPort;
  #snapshot: CoordinationSnapshot;
  /** To be taken at the start; null afterwards. */
  #first: CoordinationStep | null;
  #isStopped = false;
  /** A step is under way. */
  #isBusy = false;
  /** What was sent meanwhile, or before the start. */
  #waiting: CoordinationEvent[] | null = null;
  /** A state has one delay at most. */
  #timer: Timer | null = null;

  constructor(clock: Clock, input: CoordinationInput, port: EffectPort) {
    this.#clock = clock;
    this.#port = port;
    this.#first = initialStep(input);
    this.#snapshot = this.#first.snapshot;
  }

  get state(): CoordinationState {
    return this.#snapshot.value;
  }

  get context(): CoordinationContext {
    return this.#snapshot.context;
  }

  start(): void {
    const first = this.#first;
    this.#first = null;
    if (first !== null && !this.#isStopped) this.#take(first);
  }

  send(event: CoordinationEvent): void {
    if (this.#isStopped) return;
    if (this.#isBusy || this.#first !== null) (this.#waiting ??= []).push(event);
    else this.#take(nextStep(this.#snapshot, event));
  }

  /** What was sent before is still handled. */
  stop(): void {
    this.#isStopped = true;
    this.#clearTimer();
  }

  #take(step: CoordinationStep): void {
    this.#isBusy = true;
    this.#carryOut(step);
    for (let event = this.#waiting?.shift(); event !== undefined; event = this.#waiting?.shift()) {
      this.#carryOut(nextStep(this.#snapshot, event));
    }
    this.#waiting = null;
    this.#isBusy = false;
  }

  #carryOut({ snapshot, effects }: CoordinationStep): void {
    this.#snapshot = snapshot;
    for (const effect of effects) {
      if (effect.type === "emit") this.#emit(effect.effect);
      else this.#arm(effect);
    }
  }

  #arm(effect: Exclude<StepEffect, { type: "emit" }>): void {
    this.#clearTimer();
    if (effect.type === "timer.clear" || this.#isStopped) return;
    this.#timer = this.#clock.setTimeout(() => this.send(effect.event), effect.delayMs);
  }

  /** What is wrong with one effect must not keep the others from being carried out, nor be hidden. */
  #emit(effect: CoordinationEffect): void {
    try {
      this.#port.emitted(effect);
    } catch (error) {
      rethrowLater(error);
    }
  }

  #clearTimer(): void {
    if (this.#timer !== null) this.#clock.clearTimeout(this.#timer);
    this.#timer = null;
  }
}

class InspectedRun implements CoordinationRun {
  readonly #actor: ActorRefFrom<typeof coordinationMachine>;

  constructor(
    id: string,
    { clock, inspect }: { readonly clock: Clock; readonly inspect: Inspect },
    input: CoordinationInput,
    port: EffectPort,
  ) {
    this.#actor = createActor(coordinationMachine, { id, clock: xstateClock(clock), input, inspect });
    this.#actor.on("*", (effect) => port.emitted(effect));
  }

  get state(): CoordinationState {
    return this.#actor.getSnapshot().value;
  }

  get context(): CoordinationContext {
    return this.#actor.getSnapshot().context;
  }

  start(): void {
    this.#actor.start();
  }

  send(event: CoordinationEvent): void {
    if (this.#actor.getSnapshot().status === "active") this.#actor.send(event);
  }

  stop(): void {
    this.#actor.stop();
  }
}

function xstateClock(clock: Clock) {
  return {
    setTimeout: (callback: () => void, delayMs: number): object => clock.setTimeout(callback, delayMs),
    clearTimeout: (timer: object): void => {
      if (timer !== undefined) clock.clearTimeout(timer);
    },
  };
}
