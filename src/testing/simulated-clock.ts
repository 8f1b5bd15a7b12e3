/**
 * A clock in virtual time: nothing waits, everything happens in order of its time and, at one time, of its arming.
 *
 * Handlers are async functions, so between two instants the clock lets all promise reactions run before time moves on.
 */
import type { Clock, Timer } from "../health/clock.js";

interface Entry {
  readonly atMs: number;
  /** Order of arming, which breaks ties. */
  readonly order: number;
  /** Null once fired or cleared. */
  callback: (() => void) | null;
}

export interface SimulatedClockOptions {
  /** Wall-clock time at virtual time 0, milliseconds since 1970. @default 1_700_000_000_000 */
  readonly wallStartMs?: number;
}

export interface RunOptions {
  /** Gives up after this much virtual time, milliseconds. */
  readonly withinMs: number;
}

/** A real turn costs more than most instants. Node runs `nextTick` callbacks once no promise reaction is left. */
const REAL_TURN_EVERY = 64;

export class SimulatedClock implements Clock {
  readonly #wallStartMs: number;
  #heap: Entry[] = [];
  #nowMs = 0;
  #order = 0;
  #pending = 0;
  #steps = 0;
  #instants = 0;

  constructor(options: SimulatedClockOptions = {}) {
    this.#wallStartMs = options.wallStartMs ?? 1_700_000_000_000;
  }

  /** Callbacks that have run. */
  get steps(): number {
    return this.#steps;
  }

  /** Timeouts and deferred callbacks that have not run. */
  get pending(): number {
    return this.#pending;
  }

  now(): number {
    return this.#nowMs;
  }

  wallNow(): number {
    return this.#wallStartMs + this.#nowMs;
  }

  setTimeout(callback: () => void, delayMs: number): Timer {
    const entry: Entry = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, callback };
    this.#pending++;
    this.#heap.push(entry);
    siftUp(this.#heap, this.#heap.length - 1);
    return entry;
  }

  clearTimeout(timer: Timer): void {
    const entry = timer as Entry;
    if (entry.callback === null) return;
    entry.callback = null;
    this.#pending--;
  }

  defer(callback: () => void): void {
    this.setTimeout(callback, 0);
  }

  /** Lets `ms` of virtual time pass. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settle(this.#instants++);
    while (await this.#step(untilMs));
    this.#nowMs = untilMs;
  }

  /** Lets time pass until the condition holds; returns whether it did in time. */
  async runUntil(condition: () => boolean, { withinMs }: RunOptions): Promise<boolean> {
    const untilMs = this.#nowMs + withinMs;
    await settle(this.#instants++);
    while (!condition()) if (!(await this.#step(untilMs))) return condition();
    return true;
  }

  /** Runs everything due at the next instant; returns false when nothing is due by `untilMs`. */
  async #step(untilMs: number): Promise<boolean> {
    const next = this.#peek();
    if (next === undefined || next.atMs > untilMs) return false;
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    // What is armed while these run, even for this very instant, comes after the promise reactions of these.
    const lastOrder = this.#order;
    for (let due = this.#peek(); due !== undefined && due.atMs <= this.#nowMs; due = this.#peek()) {
      if (due.order >= lastOrder) break;
      this.#fire(due);
    }
    await settle(this.#instants++);
    return true;
  }

  #fire(entry: Entry): void {
    this.#pop();
    const { callback } = entry;
    entry.callback = null;
    this.#pending--;
    this.#steps++;
    callback?.();
  }

  #peek(): Entry | undefined {
    while (this.#heap[0]?.callback === null) this.#pop();
    return this.#heap[0];
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    siftDown(this.#heap);
  }
}

/** Lets all promise reactions run, and now and then a real turn of the event loop, so that the process stays alive. */
function settle(instant: number): Promise<void> {
  if (instant % REAL_TURN_EVERY === 0) return new Promise((resolve) => setImmediate(resolve));
  return new Promise((resolve) => process.nextTick(resolve));
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs === b.atMs ? a.order < b.order : a.atMs < b.atMs;
}

function siftUp(heap: Entry[], start: number): void {
  let index = start;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    if (!isBefore(heap[index] as Entry, heap[parent] as Entry)) return;
    swap(heap, index, parent);
    index = parent;
  }
}

function siftDown(heap: Entry[]): void {
  let index = 0;
  while (true) {
    let least = index;
    for (const child of [2 * index + 1, 2 * index + 2]) {
      if (child < heap.length && isBefore(heap[child] as Entry, heap[least] as Entry)) least = child;
    }
    if (least === index) return;
    swap(heap, index, least);
    index = least;
  }
}

function swap(heap: Entry[], a: number, b: number): void {
  [heap[a], heap[b]] = [heap[b] as Entry, heap[a] as Entry];
}
