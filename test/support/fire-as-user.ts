// Fires one event of so many bytes under each tag, as whoever runs it, and stays connected: node fire-as-user.ts SOCK_DIR BYTES TAG...
import { SaltEventClient } from '../../src/salt/index.ts'

const [sockDir = '', bytes = '0', ...tags] = process.argv.slice(2)
await using client = await SaltEventClient.connect({ sockDir, dialect: 'split', listen: false })
const text = 'x'.repeat(Number(bytes))
for (const tag of tags) await client.fire(tag, { text })
process.stdout.write('fired\n')
for await (const line of process.stdin.setEncoding('utf8')) {
  await client.fire(line.trim(), {})
  process.stdout.write('fired\n')
}
