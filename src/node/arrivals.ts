/** What was written to peers of our thread, which have it at the end of the turn. */
import type { Clock } from "../health/clock.js";

export interface Arriving {
  readonly clock: Clock;
  /** Everything up to this number has arrived. */
  arrived(seq: number): void;
}

interface Written {
  readonly writer: Arriving;
  readonly seq: number;
}

export class Arrivals {
  /** Written in the present turn, by the clock whose turns count. */
  readonly #written = new WeakMap<Clock, Written[]>();

  note(writer: Arriving, seq: number): void {
    const written = this.#written.get(writer.clock) ?? this.#begin(writer.clock);
    written.push({ writer, seq });
  }

  #begin(clock: Clock): Written[] {
    const written: Written[] = [];
    this.#written.set(clock, written);
    clock.defer(() => {
      this.#written.delete(clock);
      for (const { writer, seq } of written) writer.arrived(seq);
    });
    return written;
  }
}
