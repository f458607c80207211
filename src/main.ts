import * as nodeModule from 'node:module'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(`virbus: needs Node 22.18 or newer, this is ${process.version}\n`)
  process.exitCode = 1
} else {
  // Stripping and compiling the generated protocol takes most of the start; the cache makes the next start four times faster.
  nodeModule.enableCompileCache()
  const { main, withRole } = await import('./cli/index.ts')
  process.exitCode = await main(withRole(process.argv))
}
