/** Who speaks on a subject, found by who followed whom the last time. */
import { describe, expect, test } from "vitest";
import { type Speaker, Speakers } from "../../src/node/speakers.js";

class Voice implements Speaker<Voice> {
  heardOn = "";
  follower: Voice | null = null;
}

/** Looks for a voice as a parent does; returns whether it was expected. */
function heard(speakers: Speakers<Voice>, voices: ReadonlyMap<string, Voice>, subject: string): boolean {
  const expected = speakers.expected(subject);
  if (expected !== null) {
    expect(expected).toBe(voices.get(subject));
    return true;
  }
  speakers.note(voices.get(subject) as Voice, subject);
  return false;
}

describe("speakers", () => {
  test("in the same order as before they are expected, also after somebody was missing", () => {
    const voices = new Map(["a", "b", "c", "d"].map((subject) => [subject, new Voice()]));
    const speakers = new Speakers<Voice>();
    const round = (subjects: string): readonly boolean[] =>
      Array.from(subjects, (subject) => heard(speakers, voices, subject));
    expect(round("abcd")).toEqual([false, false, false, false]);
    expect(round("abcd")).toEqual([false, true, true, true]);
    expect(round("abcd")).toEqual([true, true, true, true]);
    expect(round("acd")).toEqual([true, false, true]);
    expect(round("abcd")).toEqual([true, false, true, true]);
    expect(round("aabbccdd")).toEqual([true, false, false, false, false, false, false, false]);
  });

  test("who was forgotten is not found, though somebody preceded it", () => {
    const voices = new Map(["a", "b"].map((subject) => [subject, new Voice()]));
    const speakers = new Speakers<Voice>();
    for (const subject of "abab") heard(speakers, voices, subject);
    speakers.forget(voices.get("b") as Voice);
    heard(speakers, voices, "a");
    expect(speakers.expected("b")).toBeNull();
    voices.set("b", new Voice());
    expect(heard(speakers, voices, "b")).toBe(false);
    heard(speakers, voices, "a");
    expect(heard(speakers, voices, "b")).toBe(true);
  });
});
