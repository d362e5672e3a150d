/** `alliance token keys, trust-key`: what partners' Keystones sign JWS tokens with. */
import type { Command } from 'commander';
import type { Installation } from '../broker/installation.ts';
import { equalBytes } from '../crypto/bytes.ts';
import { formatFingerprint } from '../crypto/certificate.ts';
import type { Partner } from '../model/partner.ts';
import { type Cli, shown } from './cli.ts';
import { usageError } from './failure.ts';
import { addCommand, finish } from './group.ts';
import { formatTable, formatTime, isoTime } from './text.ts';

export function addTokenKeys(group: Command, cli: Cli): void {
  addCommand(group, {
    usage: 'keys',
    summary: "list the keys that partners' JWS tokens are recognised by",
    more: `A key that two clouds publish is disputed: it says whose a token is for neither of them, until \`token trust-key\`
says whose it is.`,
    examples: ['token keys', 'token keys --json'],
  }).action(() =>
    finish(
      cli,
      cli.open((installation) => list(cli, installation)),
    ),
  );

  addCommand(group, {
    usage: 'trust-key <fingerprint>',
    summary: "decide whose a disputed key is: from now on it is that partner's and nobody else's",
    more: 'Ask the operators of both clouds first, by a way that is not this broker.',
    examples: ['token trust-key SHA256:AB:CD:... --partner east'],
  })
    .requiredOption('--partner <partner>', 'whose key it is')
    .action((fingerprint: string, options: { partner: string }) =>
      finish(
        cli,
        cli.withPartner(options.partner, (partner, installation) => choose(cli, installation, partner, fingerprint)),
      ),
    );
}

async function list(cli: Cli, { store }: Installation): Promise<undefined> {
  const [keys, partners] = await Promise.all([store.tokenKeys.list(), store.partners.list()]);
  const byUid = new Map(partners.map((partner) => [partner.uid, partner]));
  const rows = keys.flatMap((key) => {
    const partner = byUid.get(key.partnerUid);
    return partner ? [{ ...key, partner, fingerprint: formatFingerprint(key.thumbprint) }] : [];
  });
  cli.print(
    {
      keys: rows.map(({ partner, fingerprint, algorithm, state, createdAt }) => ({
        partner: partner.cloudId,
        algorithm,
        state,
        since: isoTime(createdAt),
        fingerprint,
      })),
    },
    formatTable(
      ['PARTNER', 'ALGORITHM', 'STATE', 'SINCE', 'FINGERPRINT'],
      rows.map(({ partner, fingerprint, algorithm, state, createdAt }) => [
        shown(partner),
        algorithm,
        state,
        formatTime(createdAt),
        fingerprint,
      ]),
    ),
  );
  return undefined;
}

async function choose(cli: Cli, installation: Installation, partner: Partner, text: string): Promise<undefined> {
  const { store, ownTokenKeys } = installation;
  if (!/^SHA256(:[0-9A-F]{2}){32}$/.test(text))
    throw usageError('The fingerprint is that of `token keys`: SHA256: and 32 pairs of digits.', 'fingerprint');
  const thumbprint = Buffer.from(text.slice('SHA256:'.length).replaceAll(':', ''), 'hex');
  if ((await ownTokenKeys.list()).some((own) => equalBytes(own.thumbprint, thumbprint)))
    throw usageError("This is a key of this cloud's own Keystone (tokens.jws_keys).", 'fingerprint');
  await store.tokenKeys.choose(partner.uid, thumbprint);
  cli.print({ partner: partner.cloudId, fingerprint: text }, `${text} is the key of ${shown(partner)}`);
  return undefined;
}
