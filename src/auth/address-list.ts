import { BlockList, isIP } from 'node:net';

import { ExposeError } from '../errors.ts';
import { isIn } from '../platform/net/addresses.ts';
import { addressPresets } from './address-presets.ts';

/**
 * Returns whether a client's address is allowed by the user; one that is not known never is.
 * @param allowed each as in `--allow-ip`: an address, a range in CIDR notation (RFC 4632, RFC 4291 §2.3) or a preset.
 * @throws ExposeError `usage` for anything else.
 */
export function createAddressList(allowed: readonly string[]): (address: string | undefined) => boolean {
  const list = new BlockList();
  for (const value of allowed) {
    const ranges = addressPresets.get(value.toLowerCase())?.ranges ?? [value];
    for (const range of ranges) addRange(list, range);
  }
  return (address) => address !== undefined && isIn(list, address);
}

function addRange(list: BlockList, range: string): void {
  const [, address = '', length] = /^([\da-f.:]+)(?:\/(\d{1,3}))?$/i.exec(range) ?? [];
  const version = isIP(address);
  const bits = version === 4 ? 32 : 128;
  const prefix = length === undefined ? bits : Number(length);
  if (version === 0 || prefix > bits) throw refusal(range);
  list.addSubnet(address, prefix, version === 4 ? 'ipv4' : 'ipv6');
}

function refusal(value: string): ExposeError {
  if (value.toLowerCase() === 'openai') {
    return new ExposeError(
      'usage',
      '--allow-ip openai: there is no such preset, since the list changes several times a week',
      {
        hints: [
          'take the prefixes from https://openai.com/chatgpt-connectors.json at each start: docs/access.md, Network, has a command',
        ],
      },
    );
  }
  const presets = [...addressPresets.keys()].join(', ');
  return new ExposeError(
    'usage',
    `--allow-ip ${JSON.stringify(value.slice(0, 253))}: it is neither an address nor a range of addresses`,
    { hints: [`it takes an address, a range such as 203.0.113.0/24 or 2001:db8::/32, or a preset: ${presets}`] },
  );
}
