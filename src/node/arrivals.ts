/** What was written to peers of our thread, which have it at the end of the turn. */
import type { Clock } from "../health/clock.js";

export interface Arriving {
  readonly clock: Clock;
  /** Everything up to this number has arrived. */
  arrived(seq: number): void;
}

export class Arrivals {
  /** Written in the present turn, by the clock whose turns count. */
  readonly #written = new WeakMap<Clock, Written>();

  note(writer: Arriving, seq: number): void {
    const { clock } = writer;
    const written = this.#written.get(clock);
    if (written === undefined) this.#begin(clock, writer, seq);
    else written.add(writer, seq);
  }

  #begin(clock: Clock, writer: Arriving, seq: number): void {
    const written = new Written();
    written.add(writer, seq);
    this.#written.set(clock, written);
    clock.defer(() => {
      this.#written.delete(clock);
      written.tell();
    });
  }
}

class Written {
  readonly #writers: Arriving[] = [];
  readonly #numbers: number[] = [];

  add(writer: Arriving, seq: number): void {
    this.#writers.push(writer);
    this.#numbers.push(seq);
  }

  tell(): void {
    for (const [place, writer] of this.#writers.entries()) writer.arrived(this.#numbers[place] as number);
  }
}
