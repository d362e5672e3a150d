/** `alliance token validate, issue, qualify, explain, keys, trust-key` */
import type { Command } from 'commander';
import { AllianceError } from '../core/errors.ts';
import { parseCloudId } from '../core/ids.ts';
import { authenticate, type NameOrId, type UserCredentials, type Validation, validateToken } from '../rproxy/auth.ts';
import { qualify } from '../token/routing/qualified.ts';
import { type Cli, exits } from './cli.ts';
import { usageError } from './failure.ts';
import { addCommand, addGroup, finish } from './group.ts';
import { ask, readSecret, readTextFile } from './input.ts';
import { formatFacts, formatTime, isoTime, printable } from './text.ts';
import { addTokenExplain } from './tokenExplain.ts';
import { addTokenKeys } from './tokenKeys.ts';

interface ValidateOptions {
  readonly partner: string;
  readonly soft?: boolean;
  readonly file?: string;
}

interface IssueOptions {
  readonly partner: string;
  readonly user?: string;
  readonly userId?: string;
  readonly userDomain?: string;
  readonly project?: string;
  readonly projectId?: string;
  readonly projectDomain?: string;
  readonly passwordFile?: string;
  readonly applicationCredentialId?: string;
  readonly applicationCredentialSecretFile?: string;
  readonly fromEnv?: boolean;
}

export function addToken(program: Command, cli: Cli): void {
  const group = addGroup(program, 'token', 'tokens of partner clouds', 'token validate - --partner east < token.txt');
  addCommand(group, {
    usage: 'validate [token]',
    summary: 'ask a partner whether a token that it issued is valid',
    more: `The token comes as an argument, from standard input (-), from a file, or from a prompt without echo.
Exit code 0: valid, 1: invalid, 3: the partner could not tell.`,
    examples: ['token validate - --partner east', 'token validate --file token.txt --partner east --soft --json'],
  })
    .requiredOption('--partner <partner>', 'the cloud that issued it')
    .option('--soft', 'from what the partner knows lately, without asking its Keystone')
    .option('--file <path>', 'file that holds the token')
    .action((token: string | undefined, options: ValidateOptions) => finish(cli, validate(cli, token, options)));

  addCommand(group, {
    usage: 'issue',
    summary: "log in at a partner's Keystone with a user's own credentials; stdout is the token alone",
    more: `The partner has to allow it (partners.<cloud_id>.authenticate). A password without a file is asked for without echo.
The credentials go to the partner: OS_* variables, which are mostly those of this cloud's own users, are read only with
--from-env. Then they say who the user is, and no option may: OS_USERNAME, OS_USER_DOMAIN_NAME and OS_PASSWORD, or
OS_APPLICATION_CREDENTIAL_ID and OS_APPLICATION_CREDENTIAL_SECRET; without --project also OS_PROJECT_NAME and
OS_PROJECT_DOMAIN_NAME.`,
    examples: [
      'token issue --partner east --user alice --project demo --password-file alice.password',
      'token issue --partner east --application-credential-id ID --application-credential-secret-file secret.txt',
    ],
  })
    .requiredOption('--partner <partner>', 'the cloud to log in at')
    .option('--user <name>', 'name of the user')
    .option('--user-id <id>', 'id of the user, instead of name and domain')
    .option('--user-domain <name>', 'domain of the user (default: Default)')
    .option('--project <name>', "project of the token (default: the user's own)")
    .option('--project-id <id>', 'id of the project, instead of name and domain')
    .option('--project-domain <name>', 'domain of the project (default: Default)')
    .option('--password-file <path>', 'file that holds the password')
    .option('--application-credential-id <id>', 'application credential, instead of user and password')
    .option('--application-credential-secret-file <path>', 'file that holds its secret')
    .option('--from-env', "send the credentials of this shell's OS_* variables to the partner")
    .action((options: IssueOptions) => finish(cli, issue(cli, options)));

  addCommand(group, {
    usage: 'qualify [token]',
    summary: 'say in a token itself which cloud issued it (a1.<cloud_id>.<token>), for services behind a facade',
    more: 'The token comes as an argument, from standard input (-), from a file, or from a prompt without echo.',
    examples: ['token qualify - --cloud east < token.txt'],
  })
    .requiredOption('--cloud <cloud_id>', 'the cloud that issued it')
    .option('--file <path>', 'file that holds the token')
    .action((token: string | undefined, options: { readonly cloud: string; readonly file?: string }) =>
      finish(cli, printQualified(cli, token, options)),
    );
  addTokenExplain(group, cli);
  addTokenKeys(group, cli);
}

async function printQualified(
  cli: Cli,
  argument: string | undefined,
  { cloud, file }: { readonly cloud: string; readonly file?: string },
): Promise<undefined> {
  const token = await readSecret(cli, { what: 'token', argument, file });
  const qualified = qualify(token, parseCloudId(cloud, 'cloud'));
  cli.print({ token: qualified }, qualified);
  return undefined;
}

async function validate(cli: Cli, argument: string | undefined, options: ValidateOptions): Promise<number> {
  const token = await readSecret(cli, { what: 'token', argument, file: options.file });
  return cli.withPartner(options.partner, async (partner, { pool }) => {
    const validation = await validateToken(pool, partner, token, { soft: options.soft ?? false });
    const body = validation.status === 'valid' ? readBody(validation.body) : null;
    cli.print(
      {
        status: validation.status,
        reason: validation.status === 'indeterminate' ? validation.reason : null,
        expires_at: validation.status === 'valid' ? isoTime(validation.expiresAt) : null,
        checked_at: validation.status === 'indeterminate' ? null : isoTime(validation.checkedAt),
        ...(body && { token: body }),
      },
      describe(validation, body),
    );
    return { valid: exits.done, invalid: exits.failed, indeterminate: exits.partly }[validation.status];
  });
}

type Named = { readonly name?: unknown; readonly id?: unknown; readonly domain?: { readonly name?: unknown } };
type TokenBody = { readonly user?: Named; readonly project?: Named; readonly roles?: readonly Named[] };

function readBody(body: string | null): TokenBody | null {
  if (body === null) return null;
  try {
    const { token } = JSON.parse(body) as { token?: TokenBody };
    if (typeof token === 'object' && token !== null) return token;
  } catch {
    // Answered below, as whatever else is no body of a token.
  }
  throw new AllianceError('wire_malformed', {
    details: 'The partner sent a body that Keystone would not.',
    field: 'body',
  });
}

function describe(validation: Validation, body: TokenBody | null): string[] {
  if (validation.status === 'invalid') return ['invalid'];
  if (validation.status === 'indeterminate') return [`indeterminate: ${validation.reason}`];
  const who = (named: Named | undefined): string =>
    named ? `${named.name} (${named.id})${named.domain ? ` of domain ${named.domain.name}` : ''}` : '-';
  return [
    'valid',
    ...formatFacts([
      ['expires', formatTime(validation.expiresAt)],
      ['checked', formatTime(validation.checkedAt)],
      ...(body === null
        ? []
        : ([
            ['user', who(body.user)],
            ['project', who(body.project)],
            ['roles', (body.roles ?? []).map(({ name }) => String(name)).join(', ')],
          ] as const)),
    ]),
  ];
}

async function issue(cli: Cli, options: IssueOptions): Promise<undefined> {
  const credentials = await readCredentials(cli, options);
  return cli.withPartner(options.partner, async (partner, { pool }) => {
    const { token, expiresAt, body } = await authenticate(pool, partner, credentials);
    const { user, project } = readBody(body) ?? {};
    const value = { token, expires_at: isoTime(expiresAt), user: user ?? null, project: project ?? null };
    cli.print(value, printable(token));
    cli.hint(`It is valid till ${formatTime(expiresAt)}, at ${partner.cloudId}.`);
    return undefined;
  });
}

/** What says who the user is, by its option. */
const whoOptions = {
  user: '--user',
  userId: '--user-id',
  userDomain: '--user-domain',
  passwordFile: '--password-file',
  applicationCredentialId: '--application-credential-id',
  applicationCredentialSecretFile: '--application-credential-secret-file',
} as const;

interface Known {
  readonly password?: string | undefined;
  readonly secret?: string | undefined;
}

/** From the options alone, or with --from-env the user from the environment alone: never one's name with the other's password. */
async function readCredentials(cli: Cli, options: IssueOptions): Promise<UserCredentials> {
  if (!options.fromEnv) {
    const { passwordFile, applicationCredentialSecretFile: secretFile } = options;
    return credentialsOf(cli, options, {
      password: passwordFile && (await readTextFile(passwordFile, whoOptions.passwordFile)),
      secret: secretFile && (await readTextFile(secretFile, whoOptions.applicationCredentialSecretFile)),
    });
  }
  const given = Object.entries(whoOptions).find(([key]) => options[key as keyof typeof whoOptions] !== undefined);
  if (given) throw usageError(`Give ${given[1]} or --from-env, not both.`, '--from-env');
  return credentialsOf(cli, fromEnvironment(cli.env, options), {
    password: cli.env.OS_PASSWORD,
    secret: cli.env.OS_APPLICATION_CREDENTIAL_SECRET,
  });
}

function fromEnvironment(env: Cli['env'], options: IssueOptions): Partial<IssueOptions> {
  const project =
    options.project === undefined && options.projectId === undefined
      ? { project: env.OS_PROJECT_NAME, projectDomain: options.projectDomain ?? env.OS_PROJECT_DOMAIN_NAME }
      : options;
  const values = {
    ...project,
    user: env.OS_USERNAME,
    userDomain: env.OS_USER_DOMAIN_NAME,
    applicationCredentialId: env.OS_APPLICATION_CREDENTIAL_ID,
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== ''));
}

async function credentialsOf(cli: Cli, who: Partial<IssueOptions>, known: Known): Promise<UserCredentials> {
  const { applicationCredentialId: id } = who;
  if (id !== undefined) {
    const secret = known.secret || (await prompt(cli, 'Secret', whoOptions.applicationCredentialSecretFile));
    return { kind: 'application_credential', id, secret };
  }
  const user = reference(who.userId, who.user, who.userDomain);
  if (!user)
    throw usageError('Whose token? Give --user, --user-id, --application-credential-id or --from-env.', 'user');
  const project = reference(who.projectId, who.project, who.projectDomain);
  const password = known.password || (await prompt(cli, 'Password', whoOptions.passwordFile));
  return { kind: 'password', user, password, ...(project && { project }) };
}

const reference = (id: string | undefined, name: string | undefined, domain = 'Default'): NameOrId | undefined => {
  if (id !== undefined) return { id };
  return name === undefined ? undefined : { name, domain: { name: domain } };
};

async function prompt(cli: Cli, what: string, option: string): Promise<string> {
  if (cli.world.stdin.isTTY) return ask(cli, `${what}: `, { echo: false });
  throw usageError(`${what} is missing: ${option}, or a terminal to ask for it.`, option);
}
