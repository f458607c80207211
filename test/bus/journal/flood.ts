/** Appends events to a journal without end, and prints the first and the last sequence of each part that is written: flood.ts PATH RUN */
import { Journal } from '../../../src/bus/index.ts'
import { silentLogger } from '../../../src/core/logger.ts'

const [path = '', run = ''] = process.argv.slice(2)
await using journal = await Journal.open({ path, log: silentLogger, ageMaxMs: 1e9, bytesMax: 1e9 })
for (;;) {
  let first: number | undefined
  let last: number | undefined
  for (let n = 0; n < 500; n++) {
    last = journal.append(`run/${run}`, Buffer.alloc(200))
    first ??= last
  }
  await journal.flush()
  process.stdout.write(`${first} ${last}\n`)
}
