/** The files under a folder and their SHA-256. Regular files only; symbolic links are not followed. */
import { createHash } from "node:crypto";
import { lstat, open, readdir } from "node:fs/promises";
import { join, posix } from "node:path";

export interface ListedFile {
  /** Relative to the folder, with `/` between its parts. */
  readonly path: string;
  readonly bytes: number;
}

export interface FileDigest {
  readonly sha256: string;
  readonly bytes: number;
}

/** By path, relative to the folder. */
export type FileDigests = ReadonlyMap<string, FileDigest>;

/** Lists all regular files below the folder, sorted by path. @throws Error that names what cannot be read */
export async function listFiles(folder: string, signal: AbortSignal): Promise<readonly ListedFile[]> {
  const files: ListedFile[] = [];
  await addFiles(folder, "", files, signal);
  return files.toSorted((left, right) => (left.path < right.path ? -1 : 1));
}

async function addFiles(folder: string, below: string, files: ListedFile[], signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const entries = await named(below === "" ? folder : below, () =>
    readdir(join(folder, below), { withFileTypes: true }),
  );
  for (const entry of entries) {
    const path = posix.join(below, entry.name);
    if (entry.isDirectory()) await addFiles(folder, path, files, signal);
    else if (entry.isFile()) files.push({ path, bytes: await sizeOf(folder, path) });
  }
}

async function sizeOf(folder: string, path: string): Promise<number> {
  return (await named(path, () => lstat(join(folder, path)))).size;
}

/** Read in pieces, so that a large file neither fills the memory nor holds up the event loop. */
const PIECE_BYTES = 512 * 1024;

/** Digests files one after the other. */
export class FileDigester {
  readonly #folder: string;
  readonly #piece = Buffer.allocUnsafe(PIECE_BYTES);

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @throws Error that names the file if it cannot be read */
  digest(path: string): Promise<FileDigest> {
    return named(path, () => this.#digest(path));
  }

  async #digest(path: string): Promise<FileDigest> {
    const hash = createHash("sha256");
    const file = await open(join(this.#folder, path));
    let bytes = 0;
    try {
      while (true) {
        const { bytesRead } = await file.read(this.#piece, 0, PIECE_BYTES);
        if (bytesRead === 0) return { sha256: hash.digest("hex"), bytes };
        hash.update(this.#piece.subarray(0, bytesRead));
        bytes += bytesRead;
      }
    } finally {
      await file.close();
    }
  }
}

/**
 * One digest for all: SHA-256 of the lines `<sha256>  <path>` with NUL at their ends, sorted by the bytes of the paths.
 * The same as `find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum -z | sha256sum`.
 */
export function digestOfAll(digests: FileDigests): string {
  const lines = Array.from(digests, ([path, { sha256 }]) => ({ key: Buffer.from(path), line: `${sha256}  ${path}\0` }));
  const hash = createHash("sha256");
  for (const { line } of lines.toSorted((left, right) => left.key.compare(right.key))) hash.update(line);
  return hash.digest("hex");
}

/** Of these files, those that were written or removed since then, milliseconds since 1970. */
export async function changedSince(
  folder: string,
  paths: readonly string[],
  sinceMs: number,
): Promise<readonly string[]> {
  const changed: string[] = [];
  for (const path of paths) {
    const ctimeMs = await lstat(join(folder, path)).then(
      (stats) => stats.ctimeMs,
      () => Infinity,
    );
    if (ctimeMs >= sinceMs) changed.push(path);
  }
  return changed;
}

/** Errors of read() and close() do not say which file it was. */
async function named<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw new Error(`cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
