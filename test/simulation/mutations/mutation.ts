/** A known bug, as data: which text of the sources to replace to have it. */
export interface Mutation {
  readonly name: string;
  /** What the mutated code does wrong. */
  readonly bug: string;
  readonly edits: readonly Edit[];
  /** Within so many seeds, from 1 on, the simulator has to notice. */
  readonly withinSeeds: number;
}

export interface Edit {
  /** Below the package's folder. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
}

/** @throws if the text does not occur exactly once: the code has changed, and the mutation must follow it */
export function applyEdit(text: string, { file, find, replace }: Edit): string {
  const parts = text.split(find);
  if (parts.length === 2) return parts.join(replace);
  throw new Error(`${JSON.stringify(find)} must occur exactly once in ${file}, but occurs ${parts.length - 1} times`);
}
