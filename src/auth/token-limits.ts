import { ExposeError } from '../errors.ts';
import type { Fields } from '../platform/json-fields.ts';
import { createAddressList } from './address-list.ts';
import type { CallerRules } from './caller.ts';

/** Largest size of a token's limits, in bytes of JSON: with it, a thousand tokens fit into a state file. */
const maxBytes = 8 * 1024;

/** They narrow the rules of the run: what either of them does not allow is not allowed. */
export interface TokenRules extends CallerRules {
  /** Addresses of clients: addresses, ranges in CIDR notation, or `anthropic`. Default: all. */
  readonly allowIps?: readonly string[] | undefined;
}

/** What a token allows. */
export interface TokenLimits extends TokenRules {
  /** How long the token is valid, in milliseconds. Default: as long as this process runs. */
  readonly expiresInMs?: number | undefined;
  /** Only the first client that initializes with the token can use it. Default: false. */
  readonly once?: boolean | undefined;
  /** Number of tool calls that the token allows. Default: any number. */
  readonly maxCalls?: number | undefined;
}

interface Kind {
  accepts(value: unknown): boolean;
  /** Completes "it takes …". */
  readonly what: string;
}

const globs: Kind = { accepts: isList, what: 'a list of globs' };
const ranges: Kind = {
  // It throws what is wrong with one of them.
  accepts: (value) => isList(value) && createAddressList(value) !== undefined,
  what: 'a list of addresses and ranges',
};
const flag: Kind = { accepts: (value) => typeof value === 'boolean', what: 'true or false' };
const duration: Kind = {
  accepts: (value) => Number.isFinite(value) && Number(value) > 0,
  what: 'a number of milliseconds above 0',
};
const count: Kind = {
  accepts: (value) => Number.isSafeInteger(value) && Number(value) > 0,
  what: 'a whole number from 1',
};

const ruleKinds: Readonly<Record<keyof TokenRules, Kind>> = {
  allowTools: globs,
  denyTools: globs,
  allowResources: globs,
  denyResources: globs,
  allowPrompts: globs,
  denyPrompts: globs,
  readOnly: flag,
  allowIps: ranges,
};
const limitKinds: Readonly<Record<keyof TokenLimits, Kind>> = {
  ...ruleKinds,
  expiresInMs: duration,
  once: flag,
  maxCalls: count,
};

const rules: ReadonlyMap<string, Kind> = new Map(Object.entries(ruleKinds));
const limits: ReadonlyMap<string, Kind> = new Map(Object.entries(limitKinds));

/**
 * Checks limits that come from a program or another process: one that is ignored would allow more than was meant.
 * @returns a copy.
 * @throws ExposeError `usage`
 */
export function checkLimits(given: TokenLimits): TokenLimits {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const kind = limits.get(name);
    if (kind === undefined) {
      throw new ExposeError(
        'usage',
        `this version of mcp-expose has no limit ${JSON.stringify(name.slice(0, 80))} for tokens`,
        {
          hints: [`it has ${[...limits.keys()].join(', ')}`],
        },
      );
    }
    if (!kind.accepts(value)) throw new ExposeError('usage', `the limit ${name} of a token takes ${kind.what}`);
  }
  if (!isShort(given)) {
    throw new ExposeError('usage', `the limits of a token are longer than ${maxBytes / 1024} KiB`, {
      hints: ['write fewer and shorter globs: * stands for any characters'],
    });
  }
  return structuredClone(given);
}

/** Whether all fields of a stored token that are nothing else are rules. */
export function areRules(fields: Fields): fields is Fields & TokenRules {
  try {
    return Object.entries(fields).every(([name, value]) => rules.get(name)?.accepts(value) === true) && isShort(fields);
  } catch {
    return false;
  }
}

/** The rules for tools, resources and prompts among the limits of a token; undefined if there are none. */
export function rulesIn(given: CallerRules): CallerRules | undefined {
  const { allowTools, denyTools, allowResources, denyResources, allowPrompts, denyPrompts } = given;
  const readOnly = given.readOnly === true ? true : undefined;
  const found = { allowTools, denyTools, allowResources, denyResources, allowPrompts, denyPrompts, readOnly };
  return Object.values(found).some((rule) => rule !== undefined) ? found : undefined;
}

function isShort(given: object): boolean {
  return Buffer.byteLength(JSON.stringify(given)) <= maxBytes;
}

function isList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
}
