import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { tempDir } from './peers.ts'
import { LineProcess } from './processes.ts'

export const POLKITD = '/usr/lib/polkit-1/polkitd'
export const DBUS_DAEMON = '/usr/bin/dbus-daemon'
export const LIBVIRT_POLICY = '/usr/share/polkit-1/actions/org.libvirt.unix.policy'

const ROOT = join(import.meta.dirname, '../..')

/** Where the namespace has this project: its folder may be one that only root can enter. */
const PROJECT = '/run/project'

/** The bus of the system as Debian's system.conf has it, with polkit's own policy, and nothing that is started on demand. */
const BUS_CONF = `<busconfig>
  <type>system</type>
  <auth>EXTERNAL</auth>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_destination="org.freedesktop.DBus"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>
  <include>/usr/share/dbus-1/system.d/org.freedesktop.PolicyKit1.conf</include>
</busconfig>
`

/** Mounts what the machine must not see, makes a runtime folder for each user, and becomes the bus. */
const NAMESPACE = `set -e
dir=$1 project=$2
shift 2
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/dbus "${PROJECT}"
mount --bind "$project" "${PROJECT}"
mount -t tmpfs -o mode=755 tmpfs /etc/polkit-1
mkdir /etc/polkit-1/rules.d
mount --bind "$dir/rules" /etc/polkit-1/rules.d
mount --bind "$dir/passwd" /etc/passwd
mount --bind "$dir/group" /etc/group
for id in "$@"; do install -d -o "$id" -g "$id" "/run/user-$id"; done
exec ${DBUS_DAEMON} --config-file="$dir/bus.conf" --nofork --nopidfile --print-address
`

/** A user who exists in the namespace only; the primary group has the name and the number of the user. */
export interface TestUser {
  readonly name: string
  readonly id: number
  /** Other users whose groups this one is a member of. */
  readonly memberOf?: readonly string[]
}

/** A real polkitd on a system bus of its own, in a mount namespace with its own rules and users. */
export interface TestPolkit extends AsyncDisposable {
  /** A process in the namespace, for those who want to enter it. */
  readonly pid: number
  /** Replaces a file of rules, and waits until polkitd has read it. */
  writeRules(name: string, text: string): Promise<void>
  /** Runs a program as this user, in the namespace; paths of this project are turned into what they are there. */
  runAs(user: TestUser, command: string, ...args: string[]): LineProcess
  /** The folder of `XDG_RUNTIME_DIR` that only this user may write to. */
  runtimeDirOf(user: TestUser): string
}

/** Starts the bus and polkitd; `rules` are the files of /etc/polkit-1/rules.d by name. */
export async function startPolkit(
  users: readonly TestUser[],
  rules: Readonly<Record<string, string>>,
): Promise<TestPolkit> {
  await using stack = new AsyncDisposableStack()
  const dir = stack.use(tempDir())
  writeNamespace(dir.path, users)
  for (const [name, text] of Object.entries(rules)) replace(dir.path, name, text)
  const ids = users.map(({ id }) => `${id}`)
  const bus = stack.use(
    new LineProcess('unshare', ['-m', 'sh', '-c', NAMESPACE, 'sh', dir.path, ROOT, ...ids]),
  )
  await bus.lines(/^unix:path=/)
  const pid = bus.child.pid
  if (pid === undefined) throw new Error('the bus has no process id')
  const inside = (...command: string[]): LineProcess =>
    new LineProcess('nsenter', ['-t', `${pid}`, '-r', '-m', ...command])
  const polkitd = stack.use(inside(POLKITD))
  await polkitd.lines(/Acquired the name org\.freedesktop\.PolicyKit1/)
  const running = stack.move()
  return {
    pid,
    async writeRules(name, text) {
      const loaded = polkitd.stdout.filter((line) => LOADED.test(line)).length
      replace(dir.path, name, text)
      await polkitd.lines(LOADED, loaded + 1)
    },
    runAs(user, command, ...args) {
      const id = `${user.id}`
      const home = [`HOME=${runtimeDirOf(user)}`, `XDG_RUNTIME_DIR=${runtimeDirOf(user)}`, 'LC_ALL=C']
      const become = ['setpriv', `--reuid=${id}`, `--regid=${id}`, '--init-groups']
      return inside(...become, 'env', '-C', PROJECT, ...home, there(command), ...args.map(there))
    },
    runtimeDirOf,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

const LOADED = /Finished loading, compiling and executing/

function runtimeDirOf({ id }: TestUser): string {
  return `/run/user-${id}`
}

/** Another path for a file of this project. */
function there(path: string): string {
  return path.startsWith(`${ROOT}/`) ? join(PROJECT, relative(ROOT, path)) : path
}

function writeNamespace(dir: string, users: readonly TestUser[]): void {
  const membersOf = (group: string): string =>
    users.flatMap(({ name, memberOf }) => (memberOf?.includes(group) ? [name] : [])).join(',')
  const lines = {
    passwd: users.map(({ name, id }) => `${name}:x:${id}:${id}::/:/usr/sbin/nologin`),
    group: users.map(({ name, id }) => `${name}:x:${id}:${membersOf(name)}`),
  }
  const isOthers = (line: string): boolean => users.every(({ name }) => !line.startsWith(`${name}:`))
  for (const [name, ours] of Object.entries(lines)) {
    const others = readFileSync(join('/etc', name), 'utf8').trimEnd().split('\n').filter(isOthers)
    writeFileSync(join(dir, name), `${[...others, ...ours].join('\n')}\n`)
  }
  writeFileSync(join(dir, 'bus.conf'), BUS_CONF)
  mkdirSync(join(dir, 'rules'))
  // polkitd is not root when it reads its rules.
  for (const path of [dir, join(dir, 'rules')]) chmodSync(path, 0o755)
}

/** At once, so that polkitd sees one change and a whole file. */
function replace(dir: string, name: string, text: string): void {
  writeFileSync(join(dir, 'rules.new'), text)
  renameSync(join(dir, 'rules.new'), join(dir, 'rules', name))
}
