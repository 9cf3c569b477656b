import type { EnvironmentRules } from '../call.ts';

/** What a tool finds as PATH when its policy does not pass or set another. */
const DEFAULT_PATH = '/usr/local/bin:/usr/bin:/bin';

/**
 * The whole environment of a worker. Nothing is inherited but what the policy names: an inherited
 * environment carries the supervisor's secrets, and `NODE_OPTIONS` or `LD_PRELOAD` would be code
 * (`NODE_EXTRA_CA_CERTS` alone doubles the start time of Node).
 *
 * @param scratch - the call's private folder; HOME and TMPDIR unless the policy says otherwise
 */
export function buildEnvironment(
  rules: EnvironmentRules,
  inherited: Readonly<Record<string, string | undefined>>,
  scratch: string,
): Record<string, string> {
  const environment: Record<string, string> = {
    PATH: DEFAULT_PATH,
    HOME: scratch,
    TMPDIR: scratch,
  };
  for (const name of [...platformNames(), ...rules.pass]) {
    // Own names only: `constructor` is no variable, though every object answers to it.
    const value = Object.hasOwn(inherited, name) ? inherited[name] : undefined;
    if (value !== undefined) environment[name] = value;
  }
  return { ...environment, ...rules.set };
}

/** Of an environment, what passes into a worker: taken once, so that two readers see the same. */
export function passingEnvironment(
  { pass }: EnvironmentRules,
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string | undefined>> {
  const names = [...platformNames(), ...pass].filter((name) => Object.hasOwn(environment, name));
  return Object.fromEntries(names.map((name) => [name, environment[name]]));
}

/** Windows starts no program without these. */
function platformNames(): readonly string[] {
  return process.platform === 'win32' ? ['SystemRoot', 'ComSpec', 'PATHEXT'] : [];
}
