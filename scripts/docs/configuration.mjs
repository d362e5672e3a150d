/** docs/configuration.md from the schema of the configuration. */
import { configKeys } from '../../src/core/configKeys.ts';
import { shownPath } from '../../src/core/configProblems.ts';
import { configSchema } from '../../src/core/configSchema.ts';
import { isReloadable } from '../../src/core/configView.ts';

const intro = `# Configuration

<!-- Written by \`npm run docs\` from src/core/configSchema.ts. -->

A broker reads \`alliance.yaml\` in its home directory (\`--home\`, else \`ALLIANCE_HOME\`, else \`~/.local/share/alliance\`). Environment
variables win over the file: \`ALLIANCE_KEYSTONE__AUTH_URL\` is \`keystone.auth_url\`, with two underscores for each level, commas between
the entries of a list, and a partner's cloud_id in capitals with \`_\` for \`-\` (\`ALLIANCE_PARTNERS__EAST_1__AUTHENTICATE=true\`).

- Unknown keys are errors. All errors are reported at once, each with its path: \`alliance config check\`.
- Paths are relative to the home directory. Of a secret and its \`_file\` form only one may be given; the environment's form replaces the file's.
- \`alliance config show\` prints everything in force, without secrets.
- Keys marked *reload* take effect on SIGHUP; the others need a restart. \`etc/alliance.yaml\` is a commented sample.
`;

const code = (text) => `\`${text}\``;

function shownDefault(key) {
  if (key.default === undefined) return '';
  return Array.isArray(key.default) ? code(`[${key.default.join(', ')}]`) : code(key.default);
}

function form(key) {
  if (key.type === 'list') return key.values ? `list of ${key.values.map(code).join(', ')}` : 'list';
  if (key.values) return key.values.map(code).join(', ');
  return key.type === 'string' ? (key.secret ? 'secret' : 'text') : key.type;
}

const row = (key) => {
  const name = shownPath(key.path);
  return `| \`${name}\` | ${form(key)} | ${shownDefault(key)} | ${isReloadable(key.path) ? 'yes' : ''} | ${key.description.replaceAll('|', '\\|')} |`;
};

const head = '| key | value | default | reload | meaning |\n|---|---|---|---|---|\n';

export function configurationPage() {
  const top = configKeys.filter((key) => key.path.length === 1);
  const sections = [...new Set(configKeys.filter((key) => key.path.length > 1).map((key) => key.path[0]))];
  return [
    intro,
    `## Top level\n\n${head}${top.map(row).join('\n')}\n`,
    ...sections.map((section) => {
      const rows = configKeys.filter((key) => key.path[0] === section).map(row);
      return `## ${section}\n\n${configSchema.shape[section].description}\n\n${head}${rows.join('\n')}\n`;
    }),
  ].join('\n');
}
