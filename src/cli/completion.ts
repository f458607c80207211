import type { Command } from 'commander'
import { SALT_WORDS } from './salt-commands.ts'

interface Words {
  readonly command: string
  readonly options: readonly string[]
}

function wordsOf(program: Command): Words[] {
  return program.commands.map((command) => ({
    command: command.name(),
    options: [
      ...(SALT_WORDS[command.name()] ?? []),
      ...command.options.flatMap(({ long }) => (long ? [long] : [])),
      '--help',
    ],
  }))
}

/** Commands whose arguments are tags. */
const WITH_TAGS = 'watch|events|tags|fire'

/** A script that completes commands, options, and tags of the running virbus; other values are left to the shell's files. */
export function completion(shell: string, program: Command): string {
  const words = wordsOf(program)
  const commands = words.map(({ command }) => command).join(' ')
  if (shell === 'fish') return fish(words, commands)
  const cases = words
    .map(({ command, options }) => `    ${command}) words='${options.join(' ')}' ;;`)
    .join('\n')
  const body = `_virbus() {
  local words='${commands} --help --version'
  case "\${COMP_WORDS[1]}" in
${cases}
  esac
  [ "$COMP_CWORD" -eq 1 ] && words='${commands} --help --version'
  local word="\${COMP_WORDS[COMP_CWORD]}"
  case "\${COMP_WORDS[1]}:$word" in
    ${WITH_TAGS.split('|')
      .map((command) => `${command}:-*`)
      .join('|')}) ;;
    ${WITH_TAGS.split('|')
      .map((command) => `${command}:*`)
      .join('|')})
      [ "$COMP_CWORD" -gt 1 ] && words="$(virbus tags -- "$word" 2>/dev/null | sed 's/[^[:alnum:]_/.:@=,+-]/\\\\&/g')" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _virbus virbus
`
  return shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${body}` : body
}

function fish(words: readonly Words[], commands: string): string {
  const lines = [`complete -c virbus -n __fish_use_subcommand -f -a '${commands}'`]
  for (const { command, options } of words)
    for (const option of options)
      lines.push(`complete -c virbus -n '__fish_seen_subcommand_from ${command}' ${fishWord(option)}`)
  lines.push(
    `complete -c virbus -n '__fish_seen_subcommand_from ${WITH_TAGS.replaceAll('|', ' ')}' -f -a '(virbus tags -- (commandline -ct) 2>/dev/null)'`,
  )
  return `${lines.join('\n')}\n`
}

function fishWord(word: string): string {
  return word.startsWith('--') ? `-l ${word.slice(2)}` : `-a '${word}'`
}
