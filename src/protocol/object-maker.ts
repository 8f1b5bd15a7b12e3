/**
 * Objects with known names, made of their values.
 *
 * V8 copies an object of one of many kinds by a call into its runtime, and looks up the place of each property that is set:
 * together half of what it takes to read a payload. An object literal costs a twentieth of that. So kinds of objects that
 * come again and again get a function with a literal of their own, as msgpackr makes them for its records. Names come from
 * others: they stand there as JSON texts, which are texts in JavaScript too, so that none can be code. Where a program may
 * not make code of texts (`--disallow-code-generation-from-strings`), objects are copied.
 */
import { rememberLatest } from "./remember-latest.js";

export type Fields = Record<string, unknown>;

type Make = (values: readonly unknown[]) => Fields;

/** So many objects of a kind are copied before it gets a function, which costs as much as a hundred copies. */
const COPIES_MAX = 200;
/** Functions that are kept for kinds that come again; with their hidden classes they hold some kilobytes each. */
const FUNCTIONS_KEPT = 512;
/**
 * After these in turn V8 expects any value in a property; it would make new hidden classes for every other type that it
 * meets there.
 */
const ANY_VALUES = [0, null];

/** By their code, the oldest first. */
const functions = new Map<string, Make>();

let mayMakeCode = true;

export class ObjectMaker {
  readonly #names: readonly string[];
  /** The literal. */
  readonly #code: string;
  #make: Make;
  /** Until it gets a function of its own. */
  #copiesLeft = COPIES_MAX;

  /** Names other than `__proto__`, which would not be a property. Of those that are there twice the last value counts. */
  constructor(names: readonly string[]) {
    this.#names = names;
    this.#code = `return { ${names.map((name, i) => `${JSON.stringify(name)}: values[${i}]`).join(", ")} };`;
    this.#make = functions.get(this.#code) ?? copying(names);
  }

  make(values: readonly unknown[]): Fields {
    if (this.#copiesLeft > 0 && --this.#copiesLeft === 0)
      this.#make = functionOf(this.#code, this.#names) ?? this.#make;
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

function functionOf(code: string, names: readonly string[]): Make | null {
  const make = functions.get(code) ?? compiled(code);
  if (make === null) return null;
  for (const value of ANY_VALUES) make(names.map(() => value));
  rememberLatest(functions, code, make, FUNCTIONS_KEPT);
  return make;
}

function compiled(code: string): Make | null {
  if (!mayMakeCode) return null;
  try {
    // oxlint-disable-next-line typescript/no-implied-eval -- the names in it are quoted
    return new Function("values", code) as Make;
  } catch (error) {
    if (!(error instanceof EvalError)) throw error;
    mayMakeCode = false;
    return null;
  }
}
