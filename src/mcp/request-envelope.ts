import { clientCapabilitiesKey, clientInfoKey, logLevelKey, protocolVersionKey } from './envelope-keys.ts';
import { metaOf } from './json-rpc.ts';
import { severities } from './log-levels.ts';
import { isObject, memberOf, type RpcNotification, type RpcRequest } from './rpc-message.ts';

/** The revision that a message says it is of; undefined if it says nothing of it. Of any type: nobody has checked it. */
export function claimedRevision(message: RpcRequest | RpcNotification): unknown {
  return memberOf(metaOf(message), protocolVersionKey);
}

/** What is missing or of the wrong type in the envelope of a request; undefined if nothing is. */
export function envelopeProblem(request: RpcRequest): string | undefined {
  const meta = metaOf(request);
  for (const [key, type, isRequired, isOfType] of rules) {
    const value = memberOf(meta, key);
    if (value === undefined && isRequired) return `params._meta lacks ${JSON.stringify(key)}, which every request has`;
    if (value !== undefined && !isOfType(value)) return `${JSON.stringify(key)} in params._meta is not ${type}`;
  }
  return undefined;
}

type Rule = readonly [key: string, type: string, isRequired: boolean, isOfType: (value: unknown) => boolean];

const rules: readonly Rule[] = [
  [protocolVersionKey, 'a string', true, isString],
  [clientCapabilitiesKey, 'an object', true, isObject],
  [clientInfoKey, 'an object', false, isObject],
  [logLevelKey, `one of ${severities.join(', ')}`, false, (level) => severities.includes(level)],
];

function isString(value: unknown): boolean {
  return typeof value === 'string';
}
