/**
 * Things that are ended together, last come first ended: the part of `AsyncDisposableStack` that is used here, which
 * Node has from 24 on only.
 */
export class CleanupStack implements AsyncDisposable {
  #items: (AsyncDisposable | Disposable)[] = []

  /** Adds something that is to be ended, and returns it. */
  use<T extends AsyncDisposable | Disposable>(item: T): T {
    this.#items.push(item)
    return item
  }

  /** Adds a function to be called at the end. */
  defer(end: () => void | Promise<void>): void {
    this.use({ [Symbol.asyncDispose]: async () => await end() })
  }

  /** A new stack with everything; this one has nothing to end any more. */
  move(): CleanupStack {
    const moved = new CleanupStack()
    moved.#items = this.#items
    this.#items = []
    return moved
  }

  /** Ends everything, also when some of it throws; throws what was thrown first. */
  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = []
    for (let item = this.#items.pop(); item; item = this.#items.pop())
      try {
        if (Symbol.asyncDispose in item) await item[Symbol.asyncDispose]()
        else item[Symbol.dispose]()
      } catch (error) {
        failures.push(error)
      }
    if (failures.length > 0) throw failures[0]
  }
}
