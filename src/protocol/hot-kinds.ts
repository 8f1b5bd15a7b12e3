/**
 * Commands and their results, spelled out: of all other kinds there are few, and these travel by the loops over their
 * layouts, for which V8 looks up each property by its name.
 */
import { estimateMeta, readId, readMeta, readTarget, TEXT_BYTES_MAX, writeMeta } from "./fields.js";
import type { CommandRun, CompleteCommand, Message } from "./messages.js";
import type { Reader } from "./reader.js";
import type { Writer } from "./writer.js";

/** Writes and reads all fields of a kind, in the order of its layout. */
export interface HotFormat {
  write(writer: Writer, message: Message): void;
  read(reader: Reader, seq: number): Message;
  /** What the fields take at most, bytes. */
  estimate(message: Message): number;
}

/** Headers of texts and payloads, and numbers. */
const COMMAND_REST_BYTES = 4 * 5 + 3 * 9;
const COMPLETION_REST_BYTES = 2 * 5;

export const HOT_FORMATS: { readonly [K in Message["kind"]]?: HotFormat } = {
  "command.run": { write: writeCommand, read: readCommand, estimate: estimateCommand },
  "complete.command": { write: writeCompletion, read: readCompletion, estimate: estimateCompletion },
};

function writeCommand(writer: Writer, message: Message): void {
  const command = message as CommandRun;
  writer.text(command.commandId);
  writer.text(command.target);
  writer.text(command.name);
  writer.bin(command.input);
  writer.int(command.deadlineMs);
  writer.bool(command.idempotent);
  writer.int(command.minSyncVersion);
  writeMeta(writer, command.meta);
}

function readCommand(reader: Reader, seq: number): CommandRun {
  return {
    kind: "command.run",
    seq,
    commandId: readId(reader),
    target: readTarget(reader),
    name: readId(reader),
    input: reader.bin(),
    deadlineMs: reader.uint(),
    idempotent: reader.bool(),
    minSyncVersion: reader.uint(),
    meta: readMeta(reader),
  };
}

function estimateCommand(message: Message): number {
  const { commandId, target, name, input, meta } = message as CommandRun;
  const texts = commandId.length + target.length + name.length;
  return texts * TEXT_BYTES_MAX + input.length + COMMAND_REST_BYTES + estimateMeta(meta);
}

function writeCompletion(writer: Writer, message: Message): void {
  const completion = message as CompleteCommand;
  writer.text(completion.commandId);
  writer.bin(completion.output);
}

function readCompletion(reader: Reader, seq: number): CompleteCommand {
  return { kind: "complete.command", seq, commandId: readId(reader), output: reader.bin() };
}

function estimateCompletion(message: Message): number {
  const { commandId, output } = message as CompleteCommand;
  return commandId.length * TEXT_BYTES_MAX + output.length + COMPLETION_REST_BYTES;
}
