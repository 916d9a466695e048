import { expect, test } from 'vitest';
import { systemClock } from '../../src/platform/clock.ts';
import { settingsForAuto, type TunnelSettings } from '../../src/tunnel/create-provider.ts';
import { HostOverrides } from '../../src/platform/net/host-overrides.ts';
import { tunnelKinds } from '../../src/tunnel/kinds.ts';

const environment = {
  env: {},
  watchdog: { guard() {}, release() {} },
  clock: systemClock,
  overrides: new HostOverrides([]),
};
const common = { environment, agent: 'mcp-expose/0', lanAddresses: ['192.0.2.1'] };
const own = { ssh: 'me@bastion.example:2222', sshKey: '/home/me/.ssh/id', sshRemote: '8080' };
const settings: TunnelSettings = { ...common, ...own, name: 'mine', publicUrl: 'https://mine.example' };

test.each(['ssh', 'sish'] as const)(
  'auto passes %s the SSH server and the key, but no name and no public URL',
  (kind) => {
    expect(settingsForAuto(settings, kind)).toEqual({ ...common, ...own });
  },
);

test.each(tunnelKinds.filter((kind) => kind !== 'ssh' && kind !== 'sish'))(
  'auto passes %s no settings of another tunnel',
  (kind) => {
    expect(settingsForAuto(settings, kind)).toEqual(common);
  },
);
