/** `alliance completion`: scripts for shells, made from the tree of commands. */
import { Argument, type Command } from 'commander';
import type { Cli } from './cli.ts';
import { addCommand } from './group.ts';
import { shellQuoted as quoted } from './text.ts';

type Shell = 'bash' | 'zsh' | 'fish';

interface Node {
  /** Words after `alliance`; empty for the program itself. */
  readonly path: readonly string[];
  readonly summary: string;
  readonly commands: readonly { readonly name: string; readonly summary: string }[];
  readonly options: readonly { readonly flag: string; readonly summary: string; readonly takesFile: boolean }[];
}

export function addCompletion(program: Command, cli: Cli): void {
  addCommand(program, {
    usage: 'completion',
    summary: 'print a completion script for a shell',
    examples: [
      'completion bash > /etc/bash_completion.d/alliance',
      'completion zsh > ~/.zfunc/_alliance',
      'completion fish > ~/.config/fish/completions/alliance.fish',
    ],
  })
    .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish']))
    .action((shell: Shell) => {
      const script = writers[shell](nodesOf(program)).trimEnd();
      cli.print({ shell, script: `${script}\n` }, script);
    });
}

/** Every command, the program first. */
function nodesOf(program: Command): Node[] {
  const globals = program.options;
  const visit = (command: Command, path: readonly string[]): Node[] => {
    const commands = command.commands.map((child) => ({ name: child.name(), summary: summaryOf(child) }));
    const options = [...command.options, ...(command === program ? [] : globals)]
      .filter(({ long, hidden }) => long !== undefined && !hidden)
      .map(({ long, description, flags }) => ({
        flag: String(long),
        summary: description,
        takesFile: /<(path|file|dir)>/.test(flags),
      }));
    const help = { flag: '--help', summary: 'show help', takesFile: false };
    const node = { path, summary: summaryOf(command), commands, options: [...options, help] };
    return [node, ...command.commands.flatMap((child) => visit(child, [...path, child.name()]))];
  };
  return visit(program, []);
}

const summaryOf = (command: Command): string => command.summary() || command.description();

/** Walks the words to the command that is meant; both bash and zsh read it. */
const walk = (nodes: readonly Node[]): string =>
  nodes
    .filter(({ path }) => path.length > 0)
    .map(({ path }) => `      ${quoted([...path.slice(0, -1), path.at(-1)].join(' '))}) here=$tried ;;`)
    .join('\n');

const bash = (nodes: readonly Node[]): string => `# bash completion for alliance
_alliance() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} here= tried word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == -* ]] && continue
    tried="\${here:+$here }$word"
    case "$tried" in
${walk(nodes)}
    esac
  done
  case "$previous" in
    ${fileFlags(nodes).join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  local words=
  case "$here" in
${nodes.map((node) => `    ${quoted(node.path.join(' '))}) words=${quoted(wordsOf(node).join(' '))} ;;`).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _alliance alliance
`;

const wordsOf = ({ commands, options }: Node): string[] => [
  ...commands.map(({ name }) => name),
  ...options.map(({ flag }) => flag),
];

const fileFlags = (nodes: readonly Node[]): string[] => [
  ...new Set(nodes.flatMap(({ options }) => options.filter(({ takesFile }) => takesFile).map(({ flag }) => flag))),
];

/** \`word:description\`, as _describe reads it. */
const described = (word: string, summary: string): string => quoted(`${word.replaceAll(':', '\\:')}:${summary}`);

const zsh = (nodes: readonly Node[]): string => `#compdef alliance
_alliance() {
  local here= tried word
  local -a commands options
  for word in "\${(@)words[2,CURRENT-1]}"; do
    [[ $word == -* ]] && continue
    tried="\${here:+$here }$word"
    case "$tried" in
${walk(nodes)}
    esac
  done
  case "\${words[CURRENT-1]}" in
    ${fileFlags(nodes).join('|')}) _files; return ;;
  esac
  case "$here" in
${nodes
  .map(
    ({ path, commands, options }) => `    ${quoted(path.join(' '))})
      commands=(${commands.map(({ name, summary }) => described(name, summary)).join(' ')})
      options=(${options.map(({ flag, summary }) => described(flag, summary)).join(' ')}) ;;`,
  )
  .join('\n')}
  esac
  (( \${#commands} )) && _describe command commands
  _describe option options
}
compdef _alliance alliance
`;

/** Between single quotes, fish knows two escapes. */
const fishQuoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

function fish(nodes: readonly Node[]): string {
  const lines = nodes.flatMap(({ path, commands, options }) => {
    const condition = fishQuoted(`test (__alliance_here) = "${path.join(' ')}"`);
    return [
      ...commands.map(
        ({ name, summary }) => `complete -c alliance -n ${condition} -a ${name} -d ${fishQuoted(summary)}`,
      ),
      ...options.map(({ flag, summary, takesFile }) =>
        [
          `complete -c alliance -n ${condition} -l ${flag.slice(2)}`,
          takesFile ? ' -rF' : '',
          ` -d ${fishQuoted(summary)}`,
        ].join(''),
      ),
    ];
  });
  const paths = nodes.filter(({ path }) => path.length > 0).map(({ path }) => fishQuoted(path.join(' ')));
  return `# fish completion for alliance
function __alliance_here
  set -l here ""
  for word in (commandline -opc)[2..-1]
    string match -q -- '-*' $word; and continue
    set -l tried (string trim "$here $word")
    contains -- $tried ${paths.join(' ')}; and set here $tried
  end
  echo "$here"
end
complete -c alliance -f
${lines.join('\n')}
`;
}

const writers: Readonly<Record<Shell, (nodes: readonly Node[]) => string>> = { bash, zsh, fish };
