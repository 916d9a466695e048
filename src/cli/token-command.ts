import type { Command } from './commander.ts';
import { ExposeError } from '../errors.ts';
import { askRun, findRuns, type Run } from '../expose/control/runs.ts';
import { checkTokenName, tokenLimits } from '../expose/command-options.ts';
import { quote } from '../platform/text/sanitize.ts';
import { longOf } from '../expose/option-spec.ts';
import type { TokenReport } from '../expose/options.ts';
import { attributeOf, type OutputFlags, type TokenAction } from './program.ts';
import type { Output } from './output.ts';
import { limitsText } from './summary.ts';

export interface TokenFlags extends OutputFlags {
  readonly run?: string;
}

/** Longest name that is looked for, in characters: several times the longest of a client. */
const maxNameLength = 1000;

/**
 * Lists or changes the tokens of a process of this user that is exposing servers.
 * @param name of the token; required except for `list`.
 * @throws ExposeError `usage`
 */
export async function runToken(
  action: TokenAction,
  name: string | undefined,
  command: Command,
  output: Output,
): Promise<void> {
  if (action !== 'list' && name === undefined) {
    throw new ExposeError('usage', `token ${action} needs the name of a token`, {
      hints: [`mcp-expose token ${action} anna`],
    });
  }
  const flags = command.opts<TokenFlags>();
  // Environment variables are not rejected, since a profile may set them for runs.
  const given = Object.values(tokenLimits).filter((spec) => command.getOptionValueSource(attributeOf(spec)) === 'cli');
  if (given.length > 0 && action !== 'add') {
    throw new ExposeError('usage', `token ${action} takes no ${given.map(longOf).join(', ')}`, {
      hints: [
        action === 'rotate'
          ? 'the new token has the limits of the old one: revoke it, and add another'
          : 'only token add takes limits',
      ],
    });
  }
  if (name !== undefined && action !== 'list') checkName(action, name);
  const { socket } = await chooseRun(flags.run);
  const path = `/tokens/${encodeURIComponent(name ?? '')}`;
  switch (action) {
    case 'list': {
      // oxlint-disable-next-line no-unsafe-type-assertion -- see control-server.ts
      const tokens = (await askRun(socket, 'GET', '/tokens')) as readonly TokenReport[];
      if (output.json) output.result(JSON.stringify(tokens));
      else for (const line of tableOf(tokens)) output.result(line);
      return;
    }
    case 'revoke': {
      // oxlint-disable-next-line no-unsafe-type-assertion -- see control-server.ts
      const revoked = (await askRun(socket, 'DELETE', path)) as Changed;
      if (output.json) output.result(JSON.stringify(revoked));
      else output.note(`revoked ${name}; its sessions have ended`);
      checkSaved(revoked);
      return;
    }
    default: {
      // oxlint-disable-next-line no-unsafe-type-assertion -- see control-server.ts
      const added = (await (action === 'add'
        ? askRun(socket, 'PUT', path, limitsFrom(command))
        : askRun(socket, 'POST', `${path}/rotate`))) as Changed & { token: string };
      output.result(output.json ? JSON.stringify(added) : added.token);
      checkSaved(added);
    }
  }
}

/** Before it is sent: it is a part of the request's head, whose length is limited. @throws ExposeError `usage` */
function checkName(action: TokenAction, name: string): void {
  if (action === 'add') checkTokenName(name);
  // Clients that sign in give themselves names that a token cannot have.
  if (name !== '' && name.length <= maxNameLength) return;
  throw new ExposeError('usage', `no valid token has the name ${quote(name.slice(0, 80))}`, {
    hints: ['mcp-expose token list shows the names'],
  });
}

interface Changed {
  /** Left out by a run that could save the change, or need not. */
  readonly isSaved?: false;
}

/** @throws ExposeError `internal` */
function checkSaved({ isSaved }: Changed): void {
  if (isSaved === false) {
    throw new ExposeError('internal', 'the change is in effect, but could not be saved: a restart undoes it', {
      hints: ['the output of the run says why'],
    });
  }
}

function limitsFrom(command: Command): object {
  const flags = command.opts<Readonly<Record<string, unknown>>>();
  return Object.fromEntries(Object.entries(tokenLimits).map(([limit, spec]) => [limit, flags[attributeOf(spec)]]));
}

/** The only run, or the one that is named by its pid or by a server. */
async function chooseRun(wanted: string | undefined): Promise<Run> {
  const runs = await findRuns(process.env);
  const matching = runs.filter(
    ({ pid, servers }) => wanted === undefined || String(pid) === wanted || servers.includes(wanted),
  );
  const [only] = matching;
  if (only !== undefined && matching.length === 1) return only;
  const list = runs.map(
    ({ pid, servers, publicUrl, localUrl }) => `--run ${pid}: ${servers.join(', ')} at ${publicUrl ?? localUrl}`,
  );
  if (runs.length === 0) {
    throw new ExposeError('usage', 'mcp-expose is not running', {
      hints: [
        'start it as the same user, for example: mcp-expose --stdio "npx -y @modelcontextprotocol/server-filesystem ."',
      ],
    });
  }
  throw matching.length === 0
    ? new ExposeError('usage', `no run has the pid or the server ${JSON.stringify(wanted)}`, { hints: list })
    : new ExposeError('usage', `${matching.length} runs are possible: choose one`, { hints: list });
}

function tableOf(tokens: readonly TokenReport[]): string[] {
  const width = Math.max(4, ...tokens.map(({ name }) => name.length));
  return tokens.map((token) =>
    [token.name.padEnd(width), token.state.padEnd(9), limitsText(token)].join('  ').trimEnd(),
  );
}
