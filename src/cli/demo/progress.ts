/** Shows on stderr how far the work is: a bar that is drawn again and again on a terminal, a few lines elsewhere. */
import { formatBytes, formatCount } from "./format.js";

export interface ProgressTotals {
  readonly label: string;
  readonly files: number;
}

const BAR_CELLS = 24;
const REDRAW_MS = 50;
/** Without a terminal: a line for each such part of the work, percent. */
const LINE_STEP = 25;
const CLEAR_LINE = "\r\u001B[2K";

export class Progress {
  readonly #stream: NodeJS.WriteStream;
  #totals: ProgressTotals = { label: "", files: 0 };
  #drawnAtMs = 0;
  #percent = 0;
  #isDrawn = false;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  begin(totals: ProgressTotals): void {
    this.#totals = totals;
    this.#percent = 0;
    this.#drawnAtMs = 0;
  }

  update(files: number, bytes: number): void {
    const percent = Math.floor((files / Math.max(1, this.#totals.files)) * 100);
    if (this.#stream.isTTY) this.#redraw(percent, files, bytes);
    else if (Math.floor(percent / LINE_STEP) > Math.floor(this.#percent / LINE_STEP)) {
      this.#stream.write(`${this.#text(percent, files, bytes)}\n`);
    }
    this.#percent = percent;
  }

  /** Puts a line above the bar. */
  say(text: string): void {
    this.clear();
    this.#stream.write(`${text}\n`);
  }

  /** Removes the bar. */
  clear(): void {
    if (this.#isDrawn) this.#stream.write(CLEAR_LINE);
    this.#isDrawn = false;
    this.#drawnAtMs = 0;
  }

  #redraw(percent: number, files: number, bytes: number): void {
    const nowMs = performance.now();
    if (percent < 100 && nowMs - this.#drawnAtMs < REDRAW_MS) return;
    this.#drawnAtMs = nowMs;
    this.#isDrawn = true;
    const filled = Math.round((percent / 100) * BAR_CELLS);
    const bar = "█".repeat(filled) + "░".repeat(BAR_CELLS - filled);
    // A line that is too long would wrap, and the next one could not replace it. Some terminals have no width.
    const width = this.#stream.columns > 0 ? this.#stream.columns - 1 : Infinity;
    this.#stream.write(CLEAR_LINE + `${bar} ${this.#text(percent, files, bytes)}`.slice(0, width));
  }

  #text(percent: number, files: number, bytes: number): string {
    const { label, files: total } = this.#totals;
    return `${percent.toString().padStart(3)} % ${label}: ${formatCount(files)} of ${formatCount(total)} files, ${formatBytes(bytes)}`;
  }
}
