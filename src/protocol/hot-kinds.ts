/**
 * The kinds that carry what users send, spelled out: of all others there are few, and these travel by the loops over their
 * layouts, for which V8 looks up each property by its name.
 */
import { estimateMeta, readId, readMeta, readTarget, readText, TEXT_BYTES_MAX, writeMeta } from "./fields.js";
import type {
  CommandReply,
  CommandRun,
  CompleteCommand,
  ErrorCommand,
  Message,
  StatusData,
  StatusProgress,
  StatusRequest,
  SyncFull,
} from "./messages.js";
import type { Reader } from "./reader.js";
import type { Writer } from "./writer.js";

/** Writes and reads all fields of a kind, in the order of its layout. */
export interface HotFormat {
  write(writer: Writer, message: Message): void;
  read(reader: Reader, seq: number): Message;
  /** What the fields take at most, bytes; for kinds that travel in batches. */
  readonly estimate?: (message: Message) => number;
}

/** Headers of texts and payloads, and numbers. */
const COMMAND_REST_BYTES = 4 * 5 + 3 * 9;
const COMPLETION_REST_BYTES = 2 * 5;

export const HOT_FORMATS: { readonly [K in Message["kind"]]?: HotFormat } = {
  "command.run": { write: writeCommand, read: readCommand, estimate: estimateCommand },
  "complete.command": { write: writeCompletion, read: readCompletion, estimate: estimateCompletion },
  "command.reply": { write: writeReply, read: readReply },
  "error.command": { write: writeFailure, read: readFailure },
  "status.data": { write: writeData, read: readData },
  "status.progress": { write: writeProgress, read: readProgress },
  "status.request": { write: writeRequest, read: readRequest },
  "sync.full": { write: writeSync, read: readSync },
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

function writeReply(writer: Writer, message: Message): void {
  const reply = message as CommandReply;
  writer.text(reply.requestId);
  writeOutcome(writer, reply);
  writer.bin(reply.output);
}

function readReply(reader: Reader, seq: number): CommandReply {
  return {
    kind: "command.reply",
    seq,
    requestId: readId(reader),
    status: reader.uint(),
    code: readId(reader),
    message: readText(reader),
    handlerCode: readText(reader),
    output: reader.bin(),
  };
}

function writeFailure(writer: Writer, message: Message): void {
  const failure = message as ErrorCommand;
  writer.text(failure.commandId);
  writeOutcome(writer, failure);
}

function readFailure(reader: Reader, seq: number): ErrorCommand {
  return {
    kind: "error.command",
    seq,
    commandId: readId(reader),
    status: reader.uint(),
    code: readId(reader),
    message: readText(reader),
    handlerCode: readText(reader),
  };
}

function writeOutcome(writer: Writer, { status, code, message, handlerCode }: CommandReply | ErrorCommand): void {
  writer.int(status);
  writer.text(code);
  writer.text(message);
  writer.text(handlerCode);
}

function writeData(writer: Writer, message: Message): void {
  writer.bin((message as StatusData).data);
}

function readData(reader: Reader, seq: number): StatusData {
  return { kind: "status.data", seq, data: reader.bin() };
}

function writeProgress(writer: Writer, message: Message): void {
  const progress = message as StatusProgress;
  writer.text(progress.commandId);
  writer.bin(progress.value);
}

function readProgress(reader: Reader, seq: number): StatusProgress {
  return { kind: "status.progress", seq, commandId: readId(reader), value: reader.bin() };
}

function writeRequest(writer: Writer, message: Message): void {
  const request = message as StatusRequest;
  writer.text(request.requestId);
  writer.text(request.name);
  writer.bin(request.input);
  writer.int(request.deadlineMs);
  writeMeta(writer, request.meta);
}

function readRequest(reader: Reader, seq: number): StatusRequest {
  return {
    kind: "status.request",
    seq,
    requestId: readId(reader),
    name: readId(reader),
    input: reader.bin(),
    deadlineMs: reader.uint(),
    meta: readMeta(reader),
  };
}

function writeSync(writer: Writer, message: Message): void {
  const sync = message as SyncFull;
  writer.int(sync.version);
  writer.bin(sync.document);
}

function readSync(reader: Reader, seq: number): SyncFull {
  return { kind: "sync.full", seq, version: reader.uint(), document: reader.bin() };
}
