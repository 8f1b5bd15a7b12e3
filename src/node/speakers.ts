/**
 * Which child speaks on a subject. Children answer a command to all in about the same order each time: whoever followed the
 * last time is tried first, which mostly spares a search in a table that no cache holds.
 */
export interface Speaker<Each> {
  /** The subject on which it was found; empty when it is not to be found any more. */
  heardOn: string;
  /** Who was found after it. */
  follower: Each | null;
}

export class Speakers<Each extends Speaker<Each>> {
  #latest: Each | null = null;

  /** Whoever is expected to speak next, if it is on this subject. */
  expected(subject: string): Each | null {
    const follower = this.#latest?.follower ?? null;
    if (follower === null || follower.heardOn !== subject) return null;
    this.#latest = follower;
    return follower;
  }

  /** Notes who else it was. */
  note(speaker: Each, subject: string): void {
    speaker.heardOn = subject;
    if (this.#latest !== null) this.#latest.follower = speaker;
    this.#latest = speaker;
  }

  forget(speaker: Each): void {
    speaker.heardOn = "";
    speaker.follower = null;
    if (this.#latest === speaker) this.#latest = null;
  }
}
