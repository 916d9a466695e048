// What the load generator does over and over: a call each, and the check of its answer.
import { answerIn, wrong } from './load.js';

/** @typedef {import('./load.js').Work} Work */

export const largeBytes = 1024 * 1024;

/** What is around a large text in an answer, with room for a bridge that adds to it. */
const maxAroundBytes = 1000;

export const progressSteps = 1000;

const pasted = 'an argument that somebody pasted into a chat, all of it and more than that, ';
const largeText = pasted.repeat(Math.ceil(largeBytes / pasted.length)).slice(0, largeBytes);

/** A short text that comes back. @type {Work} */
export async function echo(session, connection) {
  const id = session.nextId();
  const text = `call ${id}, and a few words more so that it looks like a question to a tool`;
  const params = `${session.envelope}"name":"echo","arguments":{"text":"${text}"}`;
  const call = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{${params}}}`;
  const response = await session.post(connection, call);
  const answer = response.status === 200 ? answerIn(response) : undefined;
  if (answer?.id !== id || answer.result?.content?.[0]?.text !== text) throw wrong('a call', response);
}

/** A result of 1 MiB, which its client parses as every client has to. @type {Work} */
export async function largeResult(session, connection) {
  const id = session.nextId();
  const call = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"big","arguments":{"bytes":${largeBytes}}}}`;
  const response = await session.post(connection, call);
  const answer = response.status === 200 ? answerIn(response) : undefined;
  if (answer?.id !== id || answer.result?.content?.[0]?.text?.length !== largeBytes) {
    throw new Error(`status ${response.status}, ${response.body.length} bytes`);
  }
}

/** An argument of 1 MiB, which its client writes as JSON and whose length comes back. @type {Work} */
export async function largeArgument(session, connection) {
  const id = session.nextId();
  const params = { name: 'length', arguments: { text: largeText } };
  const call = JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params });
  const response = await session.post(connection, call);
  if (response.status !== 200) throw new Error(`status ${response.status}`);
  const { result } = answerIn(response);
  if (result?.content?.[0]?.text !== String(largeBytes)) throw wrong('an argument of 1 MiB', response);
}

const digitZero = 0x30;

const progressMark = Buffer.from('"progress":');

/**
 * A call that tells of 1000 steps: every one of them has to come, in order, and then the result.
 * @type {Work}
 */
export async function progress(session, connection) {
  const id = session.nextId();
  const params = `{"_meta":{"progressToken":${id}},"name":"progress","arguments":{"steps":${progressSteps}}}`;
  const call = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":${params}}`;
  const response = await session.post(connection, call);
  const { status, body } = response;
  let came = 0;
  let inOrder = 0;
  for (let at = body.indexOf(progressMark); at !== -1; at = body.indexOf(progressMark, at + 1)) {
    came++;
    if (numberAt(body, at + progressMark.length) === inOrder + 1) inOrder++;
  }
  if (status !== 200 || came !== progressSteps || inOrder !== progressSteps) {
    throw new Error(`status ${status}, ${came} of ${progressSteps} progress notifications came, ${inOrder} in order`);
  }
  if (!body.includes('"result":', body.length - maxAroundBytes)) throw wrong('progress without a result', response);
}

/** @param {Buffer} bytes @param {number} start */
function numberAt(bytes, start) {
  let number = 0;
  for (let at = start; ; at++) {
    const digit = (bytes[at] ?? 0) - digitZero;
    if (digit < 0 || digit > 9) return number;
    number = number * 10 + digit;
  }
}
