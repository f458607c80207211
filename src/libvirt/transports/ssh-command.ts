/** What a URI of the ssh transport says about the way to the other host. */
export interface SshCommandOptions {
  readonly host: string
  readonly port: number | undefined
  readonly username: string | undefined
  readonly keyfile: string | undefined
  /** `sshauth=`: `agent`, `privkey`, `password`, `keyboard-interactive`, several with commas. */
  readonly sshauth: string | undefined
  /** `known_hosts=`: the file of the hosts' keys. */
  readonly knownHosts: string | undefined
  /** Whether the host's key is checked. */
  readonly verify: boolean
  /** Whether ssh may ask at the terminal. */
  readonly tty: boolean
  /** What is run there: virt-ssh-helper (`native`), netcat, or whichever is there. */
  readonly proxy: 'auto' | 'netcat' | 'native'
  readonly netcat: string
  /** Socket for netcat. */
  readonly socketPath: string
  /** URI for virt-ssh-helper. */
  readonly name: string
  readonly readOnly: boolean
}

/** libssh's names of the ways to prove who we are, as OpenSSH calls them (PreferredAuthentications of ssh_config). */
const SSH_AUTHENTICATIONS: Readonly<Record<string, string>> = {
  agent: 'publickey',
  privkey: 'publickey',
  password: 'password',
  'keyboard-interactive': 'keyboard-interactive',
}

/**
 * The arguments of `ssh`, as virNetSocketNewConnectSSH (virnetsocket.c) gives them. `sshauth` and `known_hosts`, which
 * libvirt only has for libssh, become options of OpenSSH.
 */
export function sshArguments(options: SshCommandOptions): string[] {
  const { port, username, keyfile, sshauth, knownHosts, verify, tty, host } = options
  const args: string[] = []
  if (port !== undefined) args.push('-p', String(port))
  if (username !== undefined) args.push('-l', username)
  if (keyfile !== undefined) args.push('-i', keyfile)
  args.push('-T', '-e', 'none')
  if (!tty) args.push('-o', 'BatchMode=yes')
  if (!verify) args.push('-o', 'StrictHostKeyChecking=no')
  if (knownHosts !== undefined) args.push('-o', `UserKnownHostsFile=${knownHosts}`)
  if (sshauth !== undefined) {
    const names = sshauth.split(',').map((name) => SSH_AUTHENTICATIONS[name.trim()] ?? name.trim())
    args.push('-o', `PreferredAuthentications=${[...new Set(names)].join(',')}`)
  }
  args.push('--', host, remoteCommand(options))
  return args
}

/** What runs on the other host (virNetClientSSHHelperCommand in virnetclient.c). */
function remoteCommand({ proxy, netcat, socketPath, name, readOnly }: SshCommandOptions): string {
  const nc = quoted(netcat)
  const netcatScript =
    `if ${nc} -q 2>&1 | grep "requires an argument" >/dev/null 2>&1; then ARG=-q0; else ARG=; fi; ` +
    `${nc} $ARG -U ${quoted(socketPath)}`
  const helperScript = `virt-ssh-helper${readOnly ? ' -r' : ''} ${quoted(name)}`
  if (proxy === 'netcat') return `sh -c ${quoted(netcatScript)}`
  if (proxy === 'native') return `sh -c ${quoted(helperScript)}`
  const either = `if which virt-ssh-helper >/dev/null 2>&1; then ${helperScript}; else ${netcatScript}; fi`
  return `sh -c ${quoted(either)}`
}

/** One word for a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
