import { randomInt } from 'node:crypto';

import type { Clock } from '../../platform/clock.ts';
import { digestOf, matchesDigest } from './digest.ts';
import type { OAuthEvent } from './events.ts';

/** Crockford's base32: without I, L, O and U, which are misread. */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** 40 bits: with ten tries for each code, a stranger needs a hundred billion codes. */
const codeLength = 8;

/** Life of a code in milliseconds: enough to send it to a colleague who types it. */
const codeLifeMs: number = 10 * 60_000;

/** Wrong tries of everybody together, after which the code changes and nobody can try for a while. */
const maxWrongTries = 10;

/** First time without tries, in milliseconds; each further one takes twice as long, up to the life of a code. */
const firstLockMs = 30_000;

/** The code on the owner's terminal, which proves that whoever types it was given it by the owner. */
export interface Pairing {
  /** As shown: `ABCD-EFGH`. */
  readonly code: string;
  /** When codes are accepted again, in milliseconds of the clock; in the past if they are. */
  readonly lockedUntil: number;
  /** Case, spaces, dashes and misread letters do not matter. The right code is accepted once. */
  check(attempt: string): 'right' | 'wrong' | 'locked';
  close(): void;
}

export function createPairing({
  clock,
  onEvent,
}: {
  readonly clock: Clock;
  readonly onEvent: (event: OAuthEvent) => void;
}): Pairing {
  let code = newCode();
  let digest = digestOf(code);
  let expiresAt = clock.now() + codeLifeMs;
  let wrongTries = 0;
  let locks = 0;
  let lockedUntil = 0;
  let cancel = clock.after(codeLifeMs, () => change('expired'));

  function change(reason: 'expired' | 'used' | 'guessing'): void {
    cancel();
    code = newCode();
    digest = digestOf(code);
    expiresAt = clock.now() + codeLifeMs;
    wrongTries = 0;
    cancel = clock.after(codeLifeMs, () => change('expired'));
    onEvent({ kind: 'pairing_code_changed', code: shown(code), reason });
  }

  /** The timer is late after the machine was asleep. */
  function changeIfExpired(): void {
    if (clock.now() >= expiresAt) change('expired');
  }

  function lock(): void {
    lockedUntil = clock.now() + Math.min(codeLifeMs, firstLockMs * 2 ** locks);
    locks += 1;
    onEvent({ kind: 'guessing_locked', until: lockedUntil });
  }

  return {
    get code() {
      changeIfExpired();
      return shown(code);
    },
    get lockedUntil() {
      return lockedUntil;
    },
    check(attempt) {
      // Also for the right code: otherwise the lock would not stop those who guess.
      if (clock.now() < lockedUntil) return 'locked';
      changeIfExpired();
      if (matchesDigest(normalized(attempt), digest)) {
        locks = 0;
        change('used');
        return 'right';
      }
      wrongTries += 1;
      if (wrongTries >= maxWrongTries) {
        change('guessing');
        lock();
      }
      return 'wrong';
    },
    close: () => cancel(),
  };
}

function newCode(): string {
  return Array.from({ length: codeLength }, () => alphabet[randomInt(alphabet.length)]).join('');
}

function shown(code: string): string {
  return `${code.slice(0, codeLength / 2)}-${code.slice(codeLength / 2)}`;
}

/** What somebody typed, as Crockford's base32 reads it. */
function normalized(attempt: string): string {
  return attempt.slice(0, 64).toUpperCase().replaceAll(/[\s-]/g, '').replaceAll('O', '0').replaceAll(/[IL]/g, '1');
}
