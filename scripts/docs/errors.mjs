/** docs/errors.md from the table of errors. */
import { errorTable } from '../../src/core/errorTable.ts';

const intro = `# Errors

<!-- Written by \`npm run docs\` from src/core/errorTable.ts. -->

Every error has a number and a name. The number travels to partners in \`AException.code\`, the name is what \`--json\` and the log show,
and neither changes its meaning. *Retry* tells whether the same call may succeed later without any change by the caller.
`;

const groups = [
  [400, 999, 'General'],
  [1000, 1099, 'Wire and connection'],
  [1100, 1199, 'Handshake and channel'],
  [1200, 1299, 'Pairing'],
  [1300, 1399, 'Rotation'],
  [1400, 1499, 'Tokens and users'],
  [1500, 1599, "This cloud's Keystone"],
  [1600, 1699, 'Storage and this installation'],
  [1700, 1799, 'Images and Glance'],
  [2400, 2499, 'Partners'],
];

const cell = (text) => text.replaceAll('|', '\\|');

const row = (entry) =>
  `| ${entry.code} | \`${entry.name}\` | ${entry.httpStatus} | ${entry.retryable ? 'yes' : 'no'} | ${cell(entry.publicMessage)} | ${cell(entry.remedy)} |`;

export function errorsPage() {
  const entries = [...errorTable.values()].sort((a, b) => a.code - b.code);
  const groupOf = ({ code }) => groups.find(([first, last]) => code >= first && code <= last);
  const homeless = entries.filter((entry) => !groupOf(entry));
  if (homeless.length > 0) throw new Error(`No group in scripts/docs/errors.mjs for ${homeless[0].code}.`);
  const sections = groups.map((group) => {
    const rows = entries.filter((entry) => groupOf(entry) === group).map(row);
    return `## ${group[2]}\n\n| code | name | HTTP | retry | message | what to do |\n|---|---|---|---|---|---|\n${rows.join('\n')}\n`;
  });
  return [intro, ...sections].join('\n');
}
