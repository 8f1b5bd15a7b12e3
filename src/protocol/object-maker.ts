/**
 * Objects with known names, made of their values.
 *
 * V8 copies an object of one of many kinds by a call into its runtime, and looks up the place of each property that is set:
 * together half of what it takes to read a payload. An object literal costs a twentieth of that. So kinds of objects that
 * come again and again get a function with a literal of their own, as msgpackr makes them for its records. Names come from
 * others: they stand there as JSON texts, which are texts in JavaScript too, so that none can be code. Where a program may
 * not make code of texts (`--disallow-code-generation-from-strings`), objects are copied.
 */
export type Fields = Record<string, unknown>;

type Make = (values: readonly unknown[]) => Fields;

/** So many objects of a kind are copied before it gets a function, which costs as much as a hundred copies. */
const COPIES_MAX = 200;
/** Functions of this process, with their hidden classes some kilobytes each: whoever sends us ever new kinds ends there. */
const FUNCTIONS_MAX = 512;

/**
 * After these in turn V8 expects any value in a property; it would make new hidden classes for every other type that it
 * meets there.
 */
const ANY_VALUES = [0, null];

let functionsLeft = FUNCTIONS_MAX;

export class ObjectMaker {
  readonly #names: readonly string[];
  #make: Make;
  /** Until it may get a function of its own. */
  #copiesLeft = COPIES_MAX;

  /** Names other than `__proto__`, which would not be a property. Of those that are there twice the last value counts. */
  constructor(names: readonly string[]) {
    this.#names = names;
    this.#make = copying(names);
  }

  make(values: readonly unknown[]): Fields {
    if (this.#copiesLeft > 0 && --this.#copiesLeft === 0) this.#make = literal(this.#names) ?? this.#make;
    return this.#make(values);
  }
}

/** All properties at first: to copy an object is faster than to add them one by one. */
function copying(names: readonly string[]): Make {
  const blank: Fields = {};
  for (const value of ANY_VALUES) for (const name of names) blank[name] = value;
  return (values) => {
    const fields = { ...blank };
    for (let i = 0; i < names.length; i++) fields[names[i] as string] = values[i];
    return fields;
  };
}

function literal(names: readonly string[]): Make | null {
  if (functionsLeft === 0) return null;
  functionsLeft--;
  const properties = names.map((name, i) => `${JSON.stringify(name)}: values[${i}]`);
  try {
    // oxlint-disable-next-line typescript/no-implied-eval -- the names are quoted
    const make = new Function("values", `return { ${properties.join(", ")} };`) as Make;
    for (const value of ANY_VALUES) make(names.map(() => value));
    return make;
  } catch (error) {
    if (!(error instanceof EvalError)) throw error;
    functionsLeft = 0;
    return null;
  }
}
