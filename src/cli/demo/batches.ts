/** Cuts a list of files into pieces, one for each command. */
import type { ListedFile } from "./files.js";

/** Enough pieces that a small folder, too, is still under way when the node is killed. */
const BATCHES_WANTED = 90;
const BATCH_FILES_MAX = 250;
const BATCH_BYTES_MAX = 16 * 1024 * 1024;
/** The longest path of Linux is 4 KiB: a batch must fit a message. */
const BATCH_PATHS_BYTES_MAX = 128 * 1024;

export function splitIntoBatches(files: readonly ListedFile[]): readonly (readonly string[])[] {
  const totalBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const filesMax = limit(files.length, BATCH_FILES_MAX);
  const bytesMax = limit(totalBytes, BATCH_BYTES_MAX);
  const batches: string[][] = [];
  let room = { files: 0, bytes: 0, pathBytes: 0 };
  for (const { path, bytes } of files) {
    const pathBytes = Buffer.byteLength(path);
    if (room.files < 1 || room.bytes < bytes || room.pathBytes < pathBytes) {
      batches.push([]);
      room = { files: filesMax, bytes: bytesMax, pathBytes: BATCH_PATHS_BYTES_MAX };
    }
    batches.at(-1)?.push(path);
    room = { files: room.files - 1, bytes: room.bytes - bytes, pathBytes: room.pathBytes - pathBytes };
  }
  return batches;
}

function limit(total: number, max: number): number {
  return Math.min(max, Math.max(1, Math.ceil(total / BATCHES_WANTED)));
}
