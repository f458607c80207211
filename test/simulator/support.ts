import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Simulator, type SimulatorOptions } from '../../src/simulator/index.ts'

/** A simulator in a folder of its own, both gone at the end. */
export class TestSimulator implements AsyncDisposable {
  readonly simulator: Simulator
  readonly #folder: string

  static async start(options: Omit<SimulatorOptions, 'path'> = {}): Promise<TestSimulator> {
    const folder = await mkdtemp(join(tmpdir(), 'virbus-simulator-'))
    return new TestSimulator(await Simulator.listen({ ...options, path: join(folder, 'sock') }), folder)
  }

  private constructor(simulator: Simulator, folder: string) {
    this.simulator = simulator
    this.#folder = folder
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.simulator[Symbol.asyncDispose]()
    await rm(this.#folder, { recursive: true })
  }
}
