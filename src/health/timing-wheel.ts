/**
 * A hashed timing wheel (Varghese and Lauck, 1987): all timeouts of a process share one native timer.
 *
 * Arming and clearing cost the same whatever the number of timeouts; the price is that a timeout fires up to one tick
 * late, never early, and a long one up to sixteen. The native timer is armed for the next occupied slot only, so an idle
 * process is not woken; long timeouts share one slot in sixteen, or ten thousand of them would wake it at every tick.
 */
import { rethrowLater } from "./rethrow-later.js";

const TICK_MS = 10;
const SLOTS = 512;
/** Ticks to which a timeout of more than one turn of the wheel is rounded up; divides SLOTS. */
const LONG_TICKS = 16;

interface Entry {
  callback: () => void;
  /** Absolute tick at which it is due. */
  dueTick: number;
  /** Null once fired or cleared. */
  slot: Set<Entry> | null;
}

export class TimingWheel {
  readonly #slots: Set<Entry>[] = Array.from({ length: SLOTS }, () => new Set<Entry>());
  readonly #startMs = performance.now();
  #tick = 0;
  #count = 0;
  #armedTick = Infinity;
  #native: NodeJS.Timeout | undefined;

  /** Pending timeouts. */
  get size(): number {
    return this.#count;
  }

  add(callback: () => void, delayMs: number): object {
    const nowTick = (performance.now() - this.#startMs) / TICK_MS;
    if (this.#count === 0) this.#tick = Math.floor(nowTick);
    const dueTick = Math.max(this.#tick + 1, roundedUp(Math.ceil(nowTick + delayMs / TICK_MS), delayMs));
    const slot = this.#slots[dueTick % SLOTS] as Set<Entry>;
    const entry: Entry = { callback, dueTick, slot };
    slot.add(entry);
    this.#count++;
    if (dueTick < this.#armedTick) this.#arm(dueTick);
    return entry;
  }

  remove(timer: object): void {
    const entry = timer as Entry;
    if (entry.slot === null) return;
    entry.slot.delete(entry);
    entry.slot = null;
    this.#count--;
    if (this.#count === 0) this.#disarm();
  }

  #arm(tick: number): void {
    clearTimeout(this.#native);
    this.#armedTick = tick;
    const dueMs = this.#startMs + tick * TICK_MS;
    this.#native = setTimeout(() => this.#turn(), Math.max(0, Math.ceil(dueMs - performance.now())));
  }

  #disarm(): void {
    clearTimeout(this.#native);
    this.#armedTick = Infinity;
  }

  #turn(): void {
    const nowTick = Math.floor((performance.now() - this.#startMs) / TICK_MS);
    this.#armedTick = Infinity;
    for (const entry of this.#collect(nowTick)) this.#fire(entry);
    if (this.#count > 0) this.#armNext();
  }

  /** Advances to `nowTick` and returns what became due, earliest first. A long stall visits each slot once. */
  #collect(nowTick: number): Entry[] {
    const due: Entry[] = [];
    const from = Math.max(this.#tick + 1, nowTick - SLOTS + 1);
    for (let tick = from; tick <= nowTick; tick++) {
      for (const entry of this.#slots[tick % SLOTS] as Set<Entry>) if (entry.dueTick <= nowTick) due.push(entry);
    }
    this.#tick = Math.max(this.#tick, nowTick);
    return due.toSorted((a, b) => a.dueTick - b.dueTick);
  }

  /** One that an earlier callback of the same turn cleared does not fire. */
  #fire(entry: Entry): void {
    if (entry.slot === null) return;
    entry.slot.delete(entry);
    entry.slot = null;
    this.#count--;
    try {
      entry.callback();
    } catch (error) {
      // A callback's bug must not take the other timeouts with it, nor be hidden.
      rethrowLater(error);
    }
  }

  #armNext(): void {
    for (let tick = this.#tick + 1; tick <= this.#tick + SLOTS; tick++) {
      if ((this.#slots[tick % SLOTS] as Set<Entry>).size > 0) {
        if (tick < this.#armedTick) this.#arm(tick);
        return;
      }
    }
  }
}

function roundedUp(dueTick: number, delayMs: number): number {
  return delayMs > SLOTS * TICK_MS ? Math.ceil(dueTick / LONG_TICKS) * LONG_TICKS : dueTick;
}
