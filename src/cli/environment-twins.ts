import { InvalidArgumentError, type Command, type Option } from './commander.ts';

import { ExposeError } from '../errors.ts';
import { specOf } from '../expose/option-table.ts';
import { shellQuote } from '../platform/text/redact.ts';
import { redactValue } from './misplaced-words.ts';

const prefix = 'MCP_EXPOSE_';

/** The environment variable that sets an option: `MCP_EXPOSE_MAX_BODY` for `--max-body`. */
export function twinOf(option: Option): string {
  const long = option.long ?? '';
  return prefix + long.replace(/^--/, '').replaceAll('-', '_').toUpperCase();
}

/**
 * Sets options that were not given on the command line from their environment variables. A repeatable option takes one value
 * per line there; a switch takes 1, true, yes, on or 0, false, no, off.
 * @throws ExposeError `usage` for a value that the option rejects.
 */
export function applyEnvironmentTwins(command: Command, env: NodeJS.ProcessEnv): void {
  for (const option of command.options) {
    // These end the command line instead of setting something.
    if (option.long === '--version' || option.long === '--help') continue;
    const long = option.long ?? '';
    const twin = twinOf(option);
    const value = env[twin];
    const attribute = option.attributeName();
    const source = command.getOptionValueSource(attribute);
    if (value === undefined || value === '' || (source !== undefined && source !== 'default')) continue;
    try {
      if (option.required) {
        const values = specOf(long)?.isRepeatable === true ? value.split('\n').filter((line) => line !== '') : [value];
        let parsed: unknown;
        for (const single of values) parsed = option.parseArg === undefined ? single : option.parseArg(single, parsed);
        command.setOptionValueWithSource(attribute, parsed, 'env');
      } else if (isOn(value)) {
        command.setOptionValueWithSource(attribute, !option.negate, 'env');
      }
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error;
      // With several lines, it is not known here which of them is wrong.
      const shown =
        specOf(long)?.secrecy === 'value' || value.includes('\n') ? '' : `=${shellQuote(redactValue(long, value))}`;
      throw new ExposeError(
        'usage',
        `the environment variable ${twin}${shown} is not valid: ${error.message.replace(/^A/, 'a').replace(/\.$/, '')}`,
        {
          hints: [`correct it, or unset it: unset ${twin}`],
        },
      );
    }
  }
}

/** Whether the variable of a switch is on, for what is needed before options are parsed. Bad values are not reported. */
export function isTwinOn(twin: string, env: NodeJS.ProcessEnv): boolean {
  return on.test(env[twin] ?? '');
}

const on = /^(?:1|true|yes|on)$/i;

function isOn(value: string): boolean {
  if (on.test(value)) return true;
  if (/^(?:0|false|no|off)$/i.test(value)) return false;
  throw new InvalidArgumentError('it takes 1 or 0');
}
