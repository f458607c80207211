// Opens one connection as whoever runs it, and tells what came of it as JSON: node connect-as-user.ts URI ro|rw
import { codeOf, messageOf } from '../../src/core/errors.ts'
import { connect } from '../../src/libvirt/index.ts'

const [uri = '', mode] = process.argv.slice(2)
try {
  await using connection = await connect({ uri, readOnly: mode === 'ro', reconnect: false })
  const domains = await connection.listAllDomains()
  process.stdout.write(`${JSON.stringify({ names: domains.map(({ name }) => name) })}\n`)
} catch (error) {
  process.stdout.write(`${JSON.stringify({ code: codeOf(error), message: messageOf(error) })}\n`)
}
