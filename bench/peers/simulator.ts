/** A simulator in a process of its own: simulator.ts PATH DOMAINS; prints a line when it listens. */
import { Simulator } from '../../src/simulator/index.ts'

const [path = '', domains = '8'] = process.argv.slice(2)
await Simulator.listen({ path, domains: Number(domains) })
console.log('listens')
